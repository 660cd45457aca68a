import DataLoading
import Foundation
import Testing

struct PhotographTests {
  /// Pillow's results, made by `make_photograph_views.py` outside the repository.
  @Test func photographsAreDecodedResizedAndCroppedAsByPillow() throws {
    guard let path = realData("imagenet-sample") else { return }
    guard let folder = ProcessInfo.processInfo.environment["MERGEVQ_PILLOW_VIEWS"] else {
      return print("skipped: MERGEVQ_PILLOW_VIEWS names no folder of make_photograph_views.py")
    }
    let dataset = try openDataset(path)
    let read = { (name: String) in [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))) }
    let sheet = try PixelImage(decoding: read("photographs.png"), name: "photographs.png")
    let lines = String(decoding: try read("photographs.txt"), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == dataset.count)
    var differenceCounts = [Int](repeating: 0, count: 256)
    for (index, line) in lines.enumerated() {
      let parts = line.split(separator: " ")
      let (left, top) = (try #require(Int(parts[1])), try #require(Int(parts[2])))
      #expect(dataset.name(of: index).hasSuffix("/" + parts[0]))
      let image = try dataset.image(at: index)
      let size = image.size(withShorterSide: 256)
      let window = PixelWindow(centeredIn: size, width: 224, height: 224)
      let view = image.resized(width: size.width, height: size.height, window: window, isFlipped: false)
      for row in 0..<64 {
        let found = view.pixels[(((top + row) * 224 + left) * 3)...].prefix(192)
        let expected = sheet.pixels[((index * 64 + row) * 192)...].prefix(192)
        for (a, b) in zip(found, expected) { differenceCounts[abs(Int(a) - Int(b))] += 1 }
      }
    }
    let count = differenceCounts.reduce(0, +)
    print("\(differenceCounts[0]) of \(count) values are Pillow's, \(differenceCounts[1]) are one level off")
    #expect(Double(differenceCounts[0] + differenceCounts[1]) >= 0.999 * Double(count))
  }

  /// What decoding at a fraction of the size costs, where the view is smaller anyway.
  @Test func scaledDecodingStaysNearFullDecoding() throws {
    guard let path = realData("imagenet-sample") else { return }
    let dataset = try openDataset(path)
    let (full, scaled) = (DecodingOptions(), DecodingOptions(smallestShorterSide: 128))
    var sum = 0.0
    var count = 0
    for index in stride(from: 0, to: dataset.count, by: 20) {
      let view = ViewOptions(resolution: 112, shorterSide: 128)
      let (a, b) = (
        view.values(of: try dataset.image(at: index, decoding: full)),
        view.values(of: try dataset.image(at: index, decoding: scaled))
      )
      for (x, y) in zip(a, b) { sum += Double((x - y) * (x - y)) }
      count += a.count
    }
    // Levels from 0 to 255.
    let rootMeanSquare = (sum / Double(count)).squareRoot() * 127.5
    print("scaled decoding: \(rootMeanSquare) of 255 levels off (root mean square)")
    #expect(rootMeanSquare > 0 && rootMeanSquare < 8)
  }
}
