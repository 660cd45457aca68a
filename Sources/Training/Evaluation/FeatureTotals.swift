import Checkpointing
import Collectives
import Evaluation
import Tensors

/// What Inception says of a set of images, added up exactly.
struct FeatureTotals {
  /// What is to be added up.
  struct Options {
    /// How images are judged.
    var convention = EvaluationProtocol.pytorchFID
    /// Whether the features of every image are kept, for precision and recall.
    var keepsFeatures = false
    /// Whether there are statistics of spatial features, for sFID.
    var wantsSpatial = false
  }

  private var statistics = FeatureStatistics(dimensionCount: InceptionNetwork.featureCount)
  private var spatialStatistics: FeatureStatistics?
  private var score: InceptionScore
  private let keepsFeatures: Bool
  /// The features of all images in their order, on every rank once gathered; only with `keepsFeatures`.
  private(set) var features: [Float] = []

  init(imageCount: Int, options: Options) {
    score = InceptionScore(
      imageCount: imageCount, classCount: InceptionNetwork.classCount, parts: options.convention.inceptionScoreParts)
    keepsFeatures = options.keepsFeatures
    if options.wantsSpatial {
      spatialStatistics = FeatureStatistics(dimensionCount: InceptionNetwork.spatialFeatureCount)
    }
  }

  /// Adds the images `indices`.
  mutating func add(_ output: InceptionNetwork.Output, at indices: Range<Int>) {
    let values = output.features.values
    statistics.add(values.map(Double.init))
    spatialStatistics?.add(output.spatialFeatures.values.map(Double.init))
    if keepsFeatures { features += values }
    let logits = output.logits.values
    let classes = InceptionNetwork.classCount
    for (offset, index) in indices.enumerated() {
      score.add(logits: logits[offset * classes..<(offset + 1) * classes].map(Double.init), at: index)
    }
  }

  /// Adds up the ranks' parts. Collective.
  mutating func gather(on communicator: any Communicator) throws {
    try statistics.gather(on: communicator)
    try spatialStatistics?.gather(on: communicator)
    try score.sums.gather(on: communicator)
    if keepsFeatures {
      // Ranks hold neighbouring images, in the order of the ranks.
      features = try communicator.concatenated(features)
    }
  }

  /// Mean and covariance of the features; nil for fewer than two images or values that are not finite.
  var gaussian: GaussianStatistics? { statistics.gaussian }
  /// The same of the spatial features.
  var spatialGaussian: GaussianStatistics? { spatialStatistics?.gaussian }
  var inceptionScore: (mean: Double, standardDeviation: Double) { score.result }
}

extension FeatureStatistics {
  /// Adds up the ranks' vectors. Collective.
  fileprivate mutating func gather(on communicator: any Communicator) throws {
    count = try communicator.allReduce(count, .sum)
    try sums.gather(on: communicator)
    try products.gather(on: communicator)
  }
}

extension ExactSums {
  /// Adds up the ranks' sums. Collective.
  mutating func gather(on communicator: any Communicator) throws {
    try high.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    try low.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    if try communicator.agree(any: isBroken) { markBroken() }
  }
}

/// A SHA-256 of images as a network saw them: of the hashes of all of them in their order.
struct PixelHash {
  private var own: [UInt8] = []

  /// Adds images, shape `[B, H, W, 3]`.
  mutating func add(_ images: Tensor) {
    let size = images.count / max(images.shape[0], 1)
    for sample in 0..<images.shape[0] {
      var hash = ContentHash()
      hash.add(Array(UnsafeBufferPointer(start: images.pointer + sample * size, count: size)))
      own += Array(hash.hexadecimalText.utf8)
    }
  }

  /// The hash of the images of all ranks, which hold neighbouring ones. Collective.
  func gathered(on communicator: any Communicator) throws -> String {
    var hash = ContentHash()
    hash.add(String(decoding: try communicator.concatenated(own), as: UTF8.self))
    return hash.hexadecimalText
  }
}
