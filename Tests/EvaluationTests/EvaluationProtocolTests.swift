import Evaluation
import Foundation
import Layers
import Tensors
import Testing

/// Where the two protocols differ.
struct EvaluationProtocolTests {
  @Test func resizingBetweenCornersFollowsTensorFlow() {
    var random = SplitMix64(seed: 1)
    let image = Tensor.uniform(in: 0...255, shape: [1, 4, 3, 2], using: &random)
    let found = resized(image, height: 6, width: 7, grid: .pixelCorners)
    for y in 0..<6 {
      for x in 0..<7 {
        let (top, left) = (Double(y) * 4 / 6, Double(x) * 3 / 7)
        let (row, column) = (Int(top), Int(left))
        for channel in 0..<2 {
          func value(_ row: Int, _ column: Int) -> Double {
            Double(image.values[(min(row, 3) * 3 + min(column, 2)) * 2 + channel])
          }
          let (down, right) = (top - Double(row), left - Double(column))
          let expected =
            (1 - down) * ((1 - right) * value(row, column) + right * value(row, column + 1))
            + down * ((1 - right) * value(row + 1, column) + right * value(row + 1, column + 1))
          #expect(abs(Double(found.values[(y * 7 + x) * 2 + channel]) - expected) < 1e-3)
        }
      }
    }
  }

  @Test func theSuiteOfDhariwalAndNicholRoundsScalesAndLeavesTheBiasOut() {
    var random = SplitMix64(seed: 2)
    let network = InceptionNetwork(using: &random)
    network.setWeights(by: WeightsByRule())
    // At the network's own size nothing is resized, and byte / 256 in one protocol is the input that the other makes of
    // the byte.
    let bytes = (0..<299 * 299 * 3).map { Float(($0 * 7919) % 256) }
    func image(_ scale: Float, offset: Float = 0) -> Tensor {
      Tensor(bytes.map { ($0 + offset) / scale }, shape: [1, 299, 299, 3])
    }
    let expected = network(image(256), by: .pytorchFID)
    let found = network(image(255, offset: 0.3), by: .adm)
    let scale = expected.features.values.map(abs).max() ?? 0
    for (a, b) in zip(found.features.values, expected.features.values) { #expect(abs(a - b) < 1e-4 * scale) }
    let bias = network.parameters.first { $0.name == "fc.bias" }?.parameter.value.values ?? []
    #expect(bias.count == 1008)
    let largest = expected.logits.values.map(abs).max() ?? 0
    for (index, bias) in bias.enumerated() {
      #expect(abs(found.logits.values[index] + bias - expected.logits.values[index]) < 1e-4 * largest)
    }
    #expect(found.spatialFeatures.shape == [1, InceptionNetwork.spatialFeatureCount])
    #expect(found.spatialFeatures.values.contains { $0 > 0 })
  }

  @Test func partsOfTheInceptionScoreAreEqualOrOfOneSize() {
    let logits: [[Double]] = (0..<12).map { image in
      (0..<3).map { column -> Double in Double((image * 5 + column * 7) % 11) / 2 }
    }
    /// The score of some images by themselves.
    func score(_ images: Range<Int>) -> Double {
      var score = InceptionScore(imageCount: images.count, classCount: 3, parts: .count(1))
      for image in images { score.add(logits: logits[image], at: image - images.lowerBound) }
      return score.result.mean
    }
    for (parts, ranges) in [
      (InceptionScore.Parts.size(5), [0..<5, 5..<10, 10..<12]), (.count(3), [0..<4, 4..<8, 8..<12]),
      (.size(50), [0..<12]), (.count(5), [0..<3, 3..<5, 5..<8, 8..<10, 10..<12]),
    ] {
      var found = InceptionScore(imageCount: 12, classCount: 3, parts: parts)
      for image in (0..<12).reversed() { found.add(logits: logits[image], at: image) }
      let expected = ranges.map(score)
      #expect(abs(found.result.mean - expected.reduce(0, +) / Double(expected.count)) < 1e-12, "\(parts)")
    }
  }
}
