import Testing

@testable import DataLoading

struct ResizingTests {
  /// Pillow's `Image.resize((width, height), BICUBIC)`, stored by `make_fixtures.py`.
  @Test(arguments: [
    ("wide", 29, 20), ("wide", 61, 20), ("wide", 33, 43), ("tall", 40, 95), ("large", 9, 7),
  ])
  func resizingAgreesWithPillow(name: String, width: Int, height: Int) throws {
    let input = try PixelImage(decoding: contents(ofFixture: "resize-\(name).png"), name: name)
    let expected = try PixelImage(decoding: contents(ofFixture: "resize-\(name)-\(width)x\(height).png"), name: name)
    #expect(input.resized(width: width, height: height) == expected)
  }

  @Test(arguments: [(23, 17), (90, 64), (41, 31)])
  func aWindowIsAPartOfTheWhole(width: Int, height: Int) {
    let input = madeUpPicture(width: 41, height: 31)
    let whole = input.resized(width: width, height: height)
    let window = PixelWindow(columns: 3..<(width - 2), rows: 5..<(height - 1))
    let part = input.resized(width: width, height: height, window: window, isFlipped: false)
    let mirrored = input.resized(width: width, height: height, window: window, isFlipped: true)
    for row in window.rows {
      for column in window.columns {
        let pixel = pixel(of: whole, column, row)
        #expect(self.pixel(of: part, column - 3, row - 5) == pixel)
        #expect(self.pixel(of: mirrored, window.columns.count - 1 - (column - 3), row - 5) == pixel)
      }
    }
  }

  private func pixel(of image: PixelImage, _ column: Int, _ row: Int) -> [UInt8] {
    Array(image.pixels[((row * image.width + column) * 3)...].prefix(3))
  }

  @Test func theSameSizeIsACopy() {
    let picture = madeUpPicture(width: 35, height: 18)
    #expect(picture.resized(width: 35, height: 18) == picture)
  }

  @Test(arguments: [0, 1, 127, 255] as [UInt8], [(1, 1), (7, 90), (200, 3)])
  func oneColourStaysOneColour(value: UInt8, size: (width: Int, height: Int)) {
    let plain = PixelImage(width: 33, height: 47, pixels: Array(repeating: value, count: 33 * 47 * 3))
    #expect(plain.resized(width: size.width, height: size.height).pixels.allSatisfy { $0 == value })
  }

  @Test(arguments: [(500, 375, 341, 256), (375, 500, 256, 341), (64, 64, 256, 256), (121, 68, 455, 256)])
  func theShorterSideLeadsAndProportionsStay(width: Int, height: Int, newWidth: Int, newHeight: Int) {
    let size = madeUpPicture(width: width, height: height).size(withShorterSide: 256)
    #expect(size == (newWidth, newHeight))
  }

  @Test func bytesBecomeValuesFromMinusOneToOne() {
    let picture = PixelImage(width: 17, height: 17, pixels: (0..<867).map { UInt8($0 % 256) })
    let values = ViewOptions(resolution: 17).values(of: picture)
    for (value, byte) in zip(values, picture.pixels) { #expect(abs(value - (Float(byte) / 127.5 - 1)) < 1e-6) }
  }

  @Test func imageNetValuesHaveItsMeanAndDeviation() {
    let picture = PixelImage(width: 1, height: 1, pixels: [0, 128, 255])
    let values = ViewOptions(resolution: 1, normalization: .imageNet).values(of: picture)
    let expected: [Float] = [-0.485 / 0.229, (128.0 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-5) }
  }

  @Test func optionsThatMakeNoSenseAreNamed() {
    #expect(ViewOptions(resolution: 64).problem == nil)
    #expect(ViewOptions(resolution: 64, shorterSide: 63).problem?.contains("63") == true)
    #expect(LoaderOptions(batchSize: 0).problem?.contains("batchSize") == true)
    #expect(LoaderOptions(batchSize: 1, views: [ViewOptions(resolution: 0)]).problem?.contains("resolution") == true)
  }
}
