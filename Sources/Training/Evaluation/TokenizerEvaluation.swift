public import Collectives
import DataLoading
public import Evaluation
import Foundation
import Layers
import Tensors
import Tokenizer

/// How good a tokenizer is: the metrics of its literature over a set of images, for one keep count or several.
///
/// The ranks share the images. Everything they add up is exact, so any number of ranks gives the same figures, bit for
/// bit.
public struct TokenizerEvaluation {
  /// What is to be measured.
  public struct Options: Sendable {
    /// Tokens to keep of each image; empty for the recipe's default.
    public var keepCounts: [Int] = []
    /// What expands tokens to positions.
    public var source = SourceChoice.actual
    /// Evaluates that many images at most, evenly spread; nil for all.
    public var imageLimit: Int?
    /// What the images are called in the provenance, such as `val`; nil for what their paths tell.
    public var split: String?
    /// How images are judged by Inception.
    public var convention = EvaluationProtocol.pytorchFID
    /// Weights of the Inception network, or `stand-in`; without them there is no Fréchet distance and no Inception Score.
    public var inception: String?
    /// Weights of LPIPS, in one file or several, or `stand-in`; without them there is no perceptual distance.
    public var perceptual: [String] = []
    /// Whether precision and recall are computed, for which rank 0 keeps the features of all images.
    public var wantsPrecisionAndRecall = false

    /// The metrics that need no weights, at the recipe's keep count.
    public init() {}
  }

  private let tokenizer: TrainedTokenizer
  private let images: [String]
  private let options: Options
  private let keepCounts: [Int]
  private let inference: TokenizerInference
  private let inception: InceptionNetwork?
  private let perceptual: PerceptualLoss?
  private let provenance: EvaluationReport.Provenance

  /// Loads everything but the images.
  /// - Parameters:
  ///   - tokenizer: What is evaluated.
  ///   - images: Image files, folders of images, or any data set that training takes.
  ///   - options: Keep counts, networks and limits.
  /// - Throws: `ConfigError` if the options do not go together; `CheckpointError` or `UnfitWeights` for weights that
  ///   cannot be used.
  public init(_ tokenizer: TrainedTokenizer, images: [String], options: Options) throws {
    self.tokenizer = tokenizer
    self.images = images
    self.options = options
    keepCounts = options.keepCounts.isEmpty ? [tokenizer.recipe.model.defaultKeepCount] : options.keepCounts
    try tokenizer.check(keepCounts: keepCounts, source: options.source)
    guard options.inception != nil || !options.wantsPrecisionAndRecall else {
      throw ConfigError(origin: "--precision-recall", problem: "needs the features of --inception WEIGHTS")
    }
    inference = TokenizerInference(tokenizer)
    guard options.perceptual.isEmpty || tokenizer.recipe.model.resolution >= 16 else {
      throw ConfigError(origin: "--lpips", problem: "needs images of at least 16 pixels")
    }
    let judge = try options.inception.map { try JudgingNetwork.inception($0) }
    let perceptualJudge = options.perceptual.isEmpty ? nil : try JudgingNetwork.perceptual(options.perceptual)
    (inception, perceptual) = (judge?.0, perceptualJudge?.0)
    provenance = EvaluationReport.Provenance(
      tokenizer: tokenizer, images: images, options: options, view: inference.view,
      networks: [judge?.1, perceptualJudge?.1].compactMap(\.self))
  }

  /// Evaluates. Collective.
  /// - Parameters:
  ///   - communicator: The ranks that share the images.
  ///   - progress: Called on rank 0 with the images that are done of its share.
  /// - Throws: `PeerFailure` with the `DataError` of an image that cannot be read.
  public func report(
    on communicator: any Communicator, progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
  ) throws -> EvaluationReport {
    try RankThreads.configure(nil, communicator: communicator)
    let selection = try ImageSelection(paths: images, communicator: communicator).limited(to: options.imageLimit)
    let count = selection.count
    guard !options.wantsPrecisionAndRecall || count > PrecisionRecall.defaultNeighbours else {
      throw ConfigError(
        origin: "--precision-recall", problem: "needs more than \(PrecisionRecall.defaultNeighbours) images")
    }
    let wanted = FeatureTotals.Options(
      convention: options.convention, keepsFeatures: options.wantsPrecisionAndRecall)
    var pixels = PixelHash()
    var originals = inception.map { _ in FeatureTotals(imageCount: count, options: wanted) }
    var totals = keepCounts.map { _ in
      ReconstructionTotals(
        codeBits: tokenizer.recipe.model.codeBits,
        features: inception.map { _ in FeatureTotals(imageCount: count, options: wanted) })
    }
    try communicator.collectively("evaluating") {
      let share = inference.share(of: count, rank: communicator.rank, worldSize: communicator.worldSize)
      try inference.forEachBatch(of: selection, in: share) { indices, batch in
        let perceptualTarget = perceptual?.features(of: batch)
        pixels.add(batch)
        if let inception { originals?.add(inception(unitRange(batch), by: options.convention), at: indices) }
        for (column, keep) in keepCounts.enumerated() {
          let encoded = tokenizer.model.encode(batch, keep: keep)
          let output = clamped(tokenizer.model.decode(encoded, source: options.source))
          totals[column].add(
            output, to: batch, encoded: encoded, predicted: tokenizer.model.predictedGroups(encoded),
            perceptualDistance: perceptualTarget.map { target in perceptual.map { $0(output, to: target).values } ?? []
            })
          if let inception {
            totals[column].features?.add(inception(unitRange(output), by: options.convention), at: indices)
          }
        }
        if communicator.isFirst { progress(indices.upperBound - share.lowerBound, share.count) }
      }
    }
    try originals?.gather(on: communicator)
    for column in totals.indices { try totals[column].gather(on: communicator) }
    // Known to all ranks alike.
    guard totals.allSatisfy(\.areFinite) else { throw NotFiniteReconstructions(path: tokenizer.path) }
    let isFirst = communicator.isFirst
    let rows = try communicator.collectively("computing distances") {
      // The others would compute the same once more.
      guard isFirst else { return [EvaluationReport.Row]() }
      return zip(keepCounts, totals).map { $1.row(keepCount: $0, imageCount: count, originals: originals) }
    }
    var provenance = provenance
    (provenance.pixels, provenance.imageCount) = (try pixels.gathered(on: communicator), count)
    return EvaluationReport(provenance: provenance, rows: rows)
  }
}

/// A tokenizer that makes no images; every rank throws it alike.
public struct NotFiniteReconstructions: AgreedError, CustomStringConvertible {
  /// Where its weights come from.
  public let path: String

  /// As for a training that diverged.
  public var exitStatus: Int32 { 70 }
  /// One sentence.
  public var description: String { "\(path): the reconstructions are not finite; its training has diverged" }
}

/// Values limited to `[-1, 1]`; what is not a number stays so.
private func clamped(_ x: Tensor) -> Tensor {
  let y = Tensor(uninitialized: x.shape)
  for index in 0..<x.count {
    let value = x.pointer[index]
    y.pointer[index] = value > 1 ? 1 : value < -1 ? -1 : value
  }
  return y
}

/// `[-1, 1]` to `[0, 1]`.
func unitRange(_ x: Tensor) -> Tensor {
  let y = Tensor(uninitialized: x.shape)
  for index in 0..<x.count { y.pointer[index] = x.pointer[index] * 0.5 + 0.5 }
  return y
}
