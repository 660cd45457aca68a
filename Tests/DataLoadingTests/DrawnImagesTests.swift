import DataLoading
import Testing

@Suite("Drawn images")
struct DrawnImagesTests {
  @Test("The same seed, index and resolution give the same picture, whatever was drawn before")
  func drawingIsAPureFunction() {
    let images = DrawnImages(count: 100)
    let first = images.image(at: 41, resolution: 32)
    _ = images.image(at: 7, resolution: 64)
    #expect(images.image(at: 41, resolution: 32) == first)
    #expect(DrawnImages(count: 1_000).image(at: 41, resolution: 32) == first)
  }

  @Test("Another index of the same class, or another seed, gives another picture", arguments: 0..<12)
  func picturesDiffer(index: Int) {
    let images = DrawnImages(count: 100)
    let picture = images.image(at: index, resolution: 32).pixels
    let sibling = images.image(at: index + 12, resolution: 32).pixels
    let reseeded = DrawnImages(count: 100, seed: 1).image(at: index, resolution: 32).pixels
    #expect(meanDifference(picture, sibling) > 8)
    #expect(meanDifference(picture, reseeded) > 8)
  }

  @Test("Every class is drawn equally often, and labels are ranks of sorted names")
  func classesAreBalanced() {
    let images = DrawnImages(count: 240)
    var counts = [Int32: Int]()
    for index in 0..<images.count {
      counts[images.label(of: index), default: 0] += 1
      #expect(images.classNames[Int(images.label(of: index))] == images.kind(of: index).rawValue)
    }
    #expect(counts.count == 12 && Set(counts.values) == [20])
    #expect(images.classNames == images.classNames.sorted())
  }

  @Test("As a data set it draws at its own resolution and names what it drew")
  func datasetConformance() throws {
    let dataset: any ImageDataset = DrawnImages(count: 5, resolution: 48, seed: 3)
    let image = try dataset.image(at: 4)
    #expect(dataset.count == 5 && image.width == 48 && image.height == 48)
    #expect(image == DrawnImages(count: 9, seed: 3).image(at: 4, resolution: 48))
    #expect(dataset.name(of: 4) == "drawn:4")
  }

  @Test("A description gives count, resolution and seed")
  func descriptions() throws {
    let plain = try DrawnImages(description: "drawn:600")
    #expect(plain.count == 600 && plain.resolution == 64 && plain.seed == 0)
    let full = try DrawnImages(description: "drawn:50,seed=7,resolution=32")
    #expect(full.count == 50 && full.resolution == 32 && full.seed == 7)
    #expect(!DrawnImages.isDescription("/data/drawn"))
  }

  @Test(
    "A description that does not parse is refused with its wrong part",
    arguments: [
      ("drawn:", "''"), ("drawn:many", "'many'"), ("drawn:0", "'0'"), ("drawn:9,size=3", "'size'"),
      ("drawn:9,seed=-1", "'-1'"), ("drawn:9,resolution=", "''"), ("drawn:9,resolution=100000", "'100000'"),
    ])
  func badDescriptions(description: String, part: String) {
    let error = #expect(throws: DataError.self) { try DrawnImages(description: description) }
    #expect(error?.description.contains(part) == true)
    #expect(error?.path == description)
  }

  @Test("The same index shows the same drawing at every resolution", arguments: 0..<24)
  func resolutionsAgree(index: Int) {
    let images = DrawnImages(count: 100)
    let small = images.image(at: index, resolution: 32).pixels
    let halved = averagedBlocks(images.image(at: index, resolution: 128).pixels, resolution: 128, factor: 4)
    #expect(meanDifference(small, halved) < 8)
  }

  @Test("Edges are anti-aliased: a dark disc before a light ground has pixels between", arguments: [0, 12, 24, 36])
  func picturesUseManyColors(index: Int) {
    let pixels = DrawnImages(count: 100).image(at: index, resolution: 32).pixels
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
