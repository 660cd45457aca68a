import DataLoading
import Evaluation
import Testing

@Suite("Lettering")
struct PictureFontTests {
  @Test("Every printable character has a shape of its own")
  func glyphsAreDistinct() {
    let glyphs = (33...126).map { PictureFont.glyph(of: Character(UnicodeScalar(UInt8($0)))) }
    for (first, glyph) in glyphs.enumerated() {
      #expect(!glyph.strokes.isEmpty)
      // Zero and the capital O share their shape, as in many typefaces.
      for second in glyphs.indices.dropFirst(first + 1) where first + 33 != 48 || second + 33 != 79 {
        #expect((glyph == glyphs[second]) == false, "\(first + 33) and \(second + 33) look alike")
      }
    }
    #expect(PictureFont.glyph(of: " ").strokes.isEmpty)
    #expect(PictureFont.glyph(of: "é") == PictureFont.glyph(of: "?"))
  }

  @Test("Letters stay within their line: capitals above the base line, descenders two dots below")
  func lineHeights() {
    for code in 33...126 {
      let character = Character(UnicodeScalar(UInt8(code)))
      let rows = PictureFont.glyph(of: character).strokes.flatMap { [$0.start.y, $0.end.y] }
      #expect((rows.min() ?? 0) >= 0 && (rows.max() ?? 9) <= PictureFont.capHeight + 2, "\(character)")
      if character.isUppercase || character.isNumber {
        #expect(rows.min() == 0 && rows.max() == PictureFont.capHeight, "\(character)")
      }
    }
  }
}

@Suite("Merge maps")
struct MergeMapTests {
  @Test("Every group is filled with the mean colour of its own pixels")
  func meanColors() {
    // The left half belongs to group 7, the right half to group 2; each row of pixels has another brightness.
    let image = PixelImage(
      width: 4, height: 2,
      pixels: [10, 0, 0, 20, 0, 0, 0, 100, 0, 0, 200, 0] + [30, 0, 0, 40, 0, 0, 0, 100, 0, 0, 200, 0])
    let map = MergeMap(groups: [7, 2], columns: 2, rows: 1).picture(of: image, scale: 8)
    #expect(map.width == 32 && map.height == 16)
    #expect(color(map, 3, 3) == [25, 0, 0])
    #expect(color(map, 3, 12) == [25, 0, 0])
    #expect(color(map, 25, 8) == [0, 150, 0])
  }

  @Test("Borders run between different groups and nowhere else")
  func borders() {
    let gray = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 180, count: 192))
    let whole = MergeMap(squareOf: [Int32](repeating: 5, count: 16)).picture(of: gray, scale: 4)
    #expect(Set(whole.pixels) == [180])
    // One token of sixteen on its own: a square of 8 × 8 result pixels with a border along its four sides.
    var groups = [Int32](repeating: 0, count: 16)
    groups[5] = 1
    let single = MergeMap(squareOf: groups).picture(of: gray, scale: 4)
    let marked = stride(from: 0, to: single.pixels.count, by: 3).count { single.pixels[$0] != 180 }
    #expect(marked == 4 * 8 - 1)
  }

  @Test("Images whose sides are no multiple of the grid are covered completely")
  func raggedSizes() {
    let image = PixelImage(width: 7, height: 5, pixels: [UInt8](repeating: 90, count: 105))
    let map = MergeMap(squareOf: [0, 1, 2, 3, 4, 5, 6, 7, 8]).picture(of: image)
    #expect(map.width == 7 && map.height == 5)
  }
}

@Suite("Sheets of images")
struct SheetTests {
  private let images = (0..<3).map { DrawnImages(count: 3).image(at: $0, resolution: 32) }

  @Test("Original and reconstruction appear enlarged, pixel for pixel, with the merge map beside them")
  func reconstructions() throws {
    let sample = ReconstructionPicture.Sample(
      original: images[0], reconstruction: images[1], mergeMap: MergeMap(squareOf: [0, 0, 1, 1]), caption: "ball")
    let picture = ReconstructionPicture(title: "title", samples: [sample]).image()
    let first = try #require(place(of: images[0], in: picture, scale: 4))
    let second = try #require(place(of: images[1], in: picture, scale: 4))
    #expect(second.y == first.y && second.x == first.x + 128 + 6)
    let map = try #require(sample.mergeMap).picture(of: images[0], scale: 4)
    let third = try #require(place(of: map, in: picture, scale: 1))
    #expect(third.y == first.y && third.x == second.x + 128 + 6)
  }

  @Test("Without merging there is no third column, and large images are not enlarged")
  func plainReconstructions() {
    let sample = ReconstructionPicture.Sample(original: images[0], reconstruction: images[1])
    let withoutMaps = ReconstructionPicture(samples: [sample]).image()
    #expect(withoutMaps.width == 2 * 20 + 2 * 128 + 6)
    let large = PixelImage(width: 256, height: 256, pixels: [UInt8](repeating: 9, count: 256 * 256 * 3))
    let picture = ReconstructionPicture(samples: [.init(original: large, reconstruction: large)]).image()
    #expect(picture.width == 2 * 20 + 2 * 256 + 6)
    #expect(ReconstructionPicture(samples: []).image().width > 0)
  }

  @Test("A grid shows its images in reading order, with or without labels")
  func grid() throws {
    let picture = LabelledGrid(
      images: images, labels: ["a", "b", "a label far too long for its tile"], columns: 2, scale: 2
    )
    .image()
    let places = try images.map { try #require(place(of: $0, in: picture, scale: 2)) }
    #expect(places[1].y == places[0].y && places[1].x > places[0].x)
    #expect(places[2].x == places[0].x && places[2].y > places[0].y)
    #expect(LabelledGrid(images: []).image().width > 0)
  }
}

private func color(_ image: PixelImage, _ x: Int, _ y: Int) -> [UInt8] {
  Array(image.pixels[(y * image.width + x) * 3..<(y * image.width + x) * 3 + 3])
}

/// Where an enlarged image lies in a sheet.
private func place(of image: PixelImage, in sheet: PixelImage, scale: Int) -> (x: Int, y: Int)? {
  for y in 0...max(sheet.height - image.height * scale, 0) {
    for x in 0...max(sheet.width - image.width * scale, 0) {
      let isHere = (0..<image.height).allSatisfy { row in
        (0..<image.width).allSatisfy { column in
          (0..<3).allSatisfy { channel in
            // Both ends of the enlarged pixel, so that a place some pixels off does not count.
            [0, scale - 1].allSatisfy { corner in
              let target = ((y + row * scale + corner) * sheet.width + x + column * scale + corner) * 3 + channel
              return sheet.pixels[target] == image.pixels[(row * image.width + column) * 3 + channel]
            }
          }
        }
      }
      if isHere { return (x, y) }
    }
  }
  return nil
}
