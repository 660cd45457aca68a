import Collectives
import DataLoading
import Evaluation
import Tensors
import Tokenizer

/// What a probe looks at of every image.
public enum ProbedFeature: String, Sendable, Codable, CaseIterable {
  /// The class token, behind the representation blocks where there are some.
  case classToken = "class-token"
  /// The mean over positions of the merged tokens.
  case tokenMean = "token-mean"
}

/// The features of images with their classes, computed once; every rank holds those of its own share.
///
/// Images lie in blocks. What is computed of a block depends on nothing else, and whole blocks belong to a rank, so any
/// number of ranks computes the same bits.
struct ProbeFeatures {
  /// Images of a block.
  static let blockSize = 64

  let featureCount: Int
  /// Of all ranks.
  let imageCount: Int
  /// The numbers of this rank's blocks.
  let blockRange: Range<Int>
  /// This rank's blocks.
  var blocks: [LinearProbe.Block]
  /// SHA-256 of the images as they were seen.
  let pixels: String

  /// Blocks of all ranks.
  var blockCount: Int { (imageCount + Self.blockSize - 1) / Self.blockSize }

  /// Mean and standard deviation of every feature over the images of all ranks. Collective.
  /// - Throws: `NotFiniteFeatures` on every rank alike.
  func moments(on communicator: any Communicator) throws -> (mean: [Double], deviation: [Double]) {
    var sums = ExactSums(count: 2 * featureCount)
    var values = [Double](repeating: 0, count: 2 * featureCount)
    for block in blocks {
      for start in stride(from: 0, to: block.features.count, by: featureCount) {
        for index in 0..<featureCount {
          let value = Double(block.features[start + index])
          (values[index], values[featureCount + index]) = (value, value * value)
        }
        values.withUnsafeBufferPointer { sums.add($0) }
      }
    }
    try sums.gather(on: communicator)
    guard !sums.isBroken else { throw NotFiniteFeatures() }
    let means = sums.values.map { $0 / Double(max(imageCount, 1)) }
    let mean = Array(means[..<featureCount])
    return (mean, mean.indices.map { max(0, means[featureCount + $0] - mean[$0] * mean[$0]).squareRoot() })
  }

  /// Less mean, divided by deviation: the batch normalisation without gain that linear probes begin with, by the
  /// statistics of all training images.
  mutating func standardize(_ moments: (mean: [Double], deviation: [Double])) {
    for block in blocks.indices {
      for index in blocks[block].features.indices {
        let feature = index % featureCount
        blocks[block].features[index] = Float(
          (Double(blocks[block].features[index]) - moments.mean[feature])
            / (moments.deviation[feature] * moments.deviation[feature] + 1e-6).squareRoot())
      }
    }
  }
}

extension ProbeFeatures {
  /// Encodes images. Collective.
  /// - Parameter progress: Called on rank 0 with the blocks that are done of its share.
  /// - Throws: `PeerFailure` with the `DataError` of an image that cannot be read.
  init(
    of images: ImageSelection, by inference: TokenizerInference, keepCount: Int, feature: ProbedFeature,
    on communicator: any Communicator, progress: (_ done: Int, _ count: Int) -> Void
  ) throws {
    let blockCount = (images.count + Self.blockSize - 1) / Self.blockSize
    let (rank, ranks) = (communicator.rank, communicator.worldSize)
    let own = blockCount * rank / ranks..<blockCount * (rank + 1) / ranks
    var hash = PixelHash()
    blocks = try communicator.collectively("encoding images") {
      try own.map { number in
        let range = number * Self.blockSize..<min(images.count, (number + 1) * Self.blockSize)
        var block = LinearProbe.Block(features: [], labels: range.map(images.label))
        try inference.forEachBatch(of: images, in: range) { _, batch in
          hash.add(batch)
          let summary = inference.model.encoder.summary(batch, keep: keepCount)
          block.features += (feature == .classToken ? summary.classToken : summary.tokenMean).values
        }
        if communicator.isFirst { progress(number + 1 - own.lowerBound, own.count) }
        return block
      }
    }
    featureCount = inference.model.config.encoderWidth
    imageCount = images.count
    blockRange = own
    pixels = try hash.gathered(on: communicator)
  }
}

/// Features that cannot be classified; every rank throws it alike.
struct NotFiniteFeatures: AgreedError, CustomStringConvertible {
  /// As for a training that diverged.
  var exitStatus: Int32 { 70 }
  var description: String { "the features are not finite, or above 1000; the tokenizer's training has diverged" }
}
