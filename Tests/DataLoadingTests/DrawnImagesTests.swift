import DataLoading
import Testing

@Suite("Drawn images")
struct DrawnImagesTests {
  @Test("The same seed, index and resolution give the same picture, whatever was drawn before")
  func drawingIsAPureFunction() {
    let images = DrawnImages(count: 100)
    let first = images.pixels(at: 41, resolution: 32)
    _ = images.pixels(at: 7, resolution: 64)
    #expect(images.pixels(at: 41, resolution: 32) == first)
    #expect(DrawnImages(count: 1_000).pixels(at: 41, resolution: 32) == first)
  }

  @Test("Another index of the same class, or another seed, gives another picture", arguments: 0..<12)
  func picturesDiffer(index: Int) {
    let images = DrawnImages(count: 100)
    let picture = images.pixels(at: index, resolution: 32)
    let sibling = images.pixels(at: index + 12, resolution: 32)
    let reseeded = DrawnImages(count: 100, seed: 1).pixels(at: index, resolution: 32)
    #expect(meanDifference(picture, sibling) > 8)
    #expect(meanDifference(picture, reseeded) > 8)
  }

  @Test("Every class is drawn equally often and has a name")
  func classesAreBalanced() {
    let images = DrawnImages(count: 240)
    var counts = [DrawnImages.Kind: Int]()
    for index in 0..<images.count { counts[images.kind(at: index), default: 0] += 1 }
    #expect(counts.count == DrawnImages.classNames.count)
    #expect(Set(counts.values) == [20])
    #expect(Set(DrawnImages.classNames).count == 12)
  }

  @Test("The same index shows the same drawing at every resolution", arguments: 0..<24)
  func resolutionsAgree(index: Int) {
    let images = DrawnImages(count: 100)
    let small = images.pixels(at: index, resolution: 32)
    let halved = averagedBlocks(images.pixels(at: index, resolution: 128), resolution: 128, factor: 4)
    #expect(meanDifference(small, halved) < 8)
  }

  @Test("Edges are anti-aliased: a dark disc before a light ground has pixels between", arguments: [0, 12, 24, 36])
  func picturesUseManyColors(index: Int) {
    let pixels = DrawnImages(count: 100).pixels(at: index, resolution: 32)
    var colors = Set<Int>()
    for start in stride(from: 0, to: pixels.count, by: 3) {
      colors.insert(Int(pixels[start]) << 16 | Int(pixels[start + 1]) << 8 | Int(pixels[start + 2]))
    }
    #expect(pixels.count == 32 * 32 * 3)
    #expect(colors.count > 100)
  }
}

private func meanDifference(_ a: [UInt8], _ b: [UInt8]) -> Double {
  zip(a, b).reduce(0) { $0 + Double(abs(Int($1.0) - Int($1.1))) } / Double(a.count)
}

/// Means of `factor` × `factor` pixels.
private func averagedBlocks(_ pixels: [UInt8], resolution: Int, factor: Int) -> [UInt8] {
  let side = resolution / factor
  return (0..<side * side * 3).map { position in
    let (row, column, channel) = (position / 3 / side, position / 3 % side, position % 3)
    var sum = 0
    for y in 0..<factor {
      for x in 0..<factor {
        sum += Int(pixels[((row * factor + y) * resolution + column * factor + x) * 3 + channel])
      }
    }
    return UInt8(sum / (factor * factor))
  }
}
