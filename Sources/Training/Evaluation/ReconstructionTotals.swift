import Collectives
import DataLoading
import Evaluation
import Tensors
import Tokenizer

/// What there is to say of the reconstructions at one keep count, added up exactly.
struct ReconstructionTotals {
  private enum Sum: Int, CaseIterable {
    case absoluteError, peakSignalToNoise, structuralSimilarity, perceptualDistance, sourcesRight
  }

  private var sums = ExactSums(count: Sum.allCases.count)
  private var usage: CodebookUsage
  private var hasPerceptualDistance = false
  private var hasSources = false
  var features: FeatureTotals?

  init(codeBits: Int, features: FeatureTotals?) {
    usage = CodebookUsage(codeBits: codeBits)
    self.features = features
  }

  /// Adds a batch.
  /// - Parameters:
  ///   - output: Reconstructions within `[-1, 1]`, shape `[B, H, W, 3]`.
  ///   - images: What they should be.
  ///   - predicted: Groups as the learned recovery predicts them.
  ///   - perceptualDistance: One distance an image.
  mutating func add(
    _ output: Tensor, to images: Tensor, encoded: TokenizerModel.Encoded, predicted: [Int32]?,
    perceptualDistance: [Float]?
  ) {
    let (batch, height, width) = (images.shape[0], images.shape[1], images.shape[2])
    let size = images.count / batch
    let positions = encoded.groups.count / batch
    for sample in 0..<batch {
      let error = ImageError(of: output, to: images, sample: sample)
      add(error.meanAbsolute, .absoluteError)
      func unit(_ x: Tensor) -> [Float] { (0..<size).map { x.pointer[sample * size + $0] * 0.5 + 0.5 } }
      unit(output).withUnsafeBufferPointer { output in
        unit(images).withUnsafeBufferPointer { image in
          add(ImageQuality.peakSignalToNoise(output, image, range: 1), .peakSignalToNoise)
          add(
            ImageQuality.structuralSimilarity(output, image, height: height, width: width, channels: 3),
            .structuralSimilarity)
        }
      }
      if let perceptualDistance {
        add(Double(perceptualDistance[sample]), .perceptualDistance)
      }
      if let predicted {
        let range = sample * positions..<(sample + 1) * positions
        add(shareAlike(Array(predicted[range]), Array(encoded.groups[range])), .sourcesRight)
      }
    }
    hasPerceptualDistance = perceptualDistance != nil
    hasSources = predicted != nil
    usage.add(encoded.indices)
  }

  private mutating func add(_ value: Double, _ sum: Sum) { sums.add(value, at: sum.rawValue) }

  /// Adds up the ranks' parts. Collective.
  mutating func gather(on communicator: any Communicator) throws {
    try sums.gather(on: communicator)
    try usage.counts.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    // A rank without images does not know.
    hasPerceptualDistance = try communicator.agree(any: hasPerceptualDistance)
    hasSources = try communicator.agree(any: hasSources)
    try features?.gather(on: communicator)
  }

  /// Whether every image gave finite figures.
  var areFinite: Bool { !sums.isBroken }

  /// The figures of one keep count.
  /// - Parameter originals: What Inception says of the images themselves.
  func row(keepCount: Int, imageCount: Int, originals: FeatureTotals?) -> EvaluationReport.Row {
    let means = sums.values.map { $0 / Double(max(imageCount, 1)) }
    func mean(_ sum: Sum) -> Double { means[sum.rawValue] }
    var row = EvaluationReport.Row(
      keepCount: keepCount, meanAbsoluteError: mean(.absoluteError), peakSignalToNoise: mean(.peakSignalToNoise),
      structuralSimilarity: mean(.structuralSimilarity), codesUsed: usage.usedShare, codePerplexity: usage.perplexity,
      codesDead: usage.deadCount, codesCounted: usage.total)
    if hasPerceptualDistance { row.perceptualDistance = mean(.perceptualDistance) }
    if hasSources { row.sourcesRight = mean(.sourcesRight) }
    guard let features, let originals else { return row }
    if let own = features.gaussian, let reference = originals.gaussian {
      row.frechetDistance = frechetDistance(own, reference)
      row.isRankDeficient = own.isRankDeficient
    }
    let score = features.inceptionScore
    if score.mean.isFinite { (row.inceptionScore, row.inceptionScoreDeviation) = score }
    if !features.features.isEmpty {
      let pair = PrecisionRecall(
        reference: originals.features, candidates: features.features, dimensionCount: InceptionNetwork.featureCount)
      (row.precision, row.recall) = (pair.precision, pair.recall)
    }
    return row
  }
}
