public import Collectives
import DataLoading
import Evaluation
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
    /// What the images are called in the provenance, such as `val`; nil where nobody says.
    public var split: String?
    /// Weights of the Inception network; without them there is no Fréchet distance and no Inception Score.
    public var inception: String?
    /// Weights of LPIPS, in one file or several; without them there is no perceptual distance.
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
  /// - Parameter images: Image files, folders of images, or any data set that training takes.
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
    var networks: [EvaluationReport.Network] = []
    var random = SplitMix64(seed: 0)
    inception = try options.inception.map { path in
      let network = InceptionNetwork(using: &random)
      networks.append(try EvaluationReport.Network(loading: .inception, from: [path], into: network))
      return network
    }
    if options.perceptual.isEmpty {
      perceptual = nil
    } else {
      let network = PerceptualLoss(using: &random)
      networks.append(try EvaluationReport.Network(loading: .lpips, from: options.perceptual, into: network))
      perceptual = network
    }
    provenance = EvaluationReport.Provenance(
      tokenizer: tokenizer, images: images, options: options, view: inference.view, networks: networks)
  }

  /// Evaluates. Collective.
  /// - Throws: `PeerFailure` with the `DataError` of an image that cannot be read.
  public func report(on communicator: any Communicator) throws -> EvaluationReport {
    let selection = try ImageSelection(paths: images, communicator: communicator).limited(to: options.imageLimit)
    let count = selection.count
    guard !options.wantsPrecisionAndRecall || count > PrecisionRecall.defaultNeighbours else {
      throw ConfigError(
        origin: "--precision-recall", problem: "needs more than \(PrecisionRecall.defaultNeighbours) images")
    }
    var originals = inception.map { _ in
      FeatureTotals(imageCount: count, keepsFeatures: options.wantsPrecisionAndRecall)
    }
    var totals = keepCounts.map { _ in
      ReconstructionTotals(
        codeBits: tokenizer.recipe.model.codeBits,
        features: inception.map { _ in
          FeatureTotals(imageCount: count, keepsFeatures: options.wantsPrecisionAndRecall)
        })
    }
    try communicator.collectively("evaluating") {
      let share = inference.share(of: count, rank: communicator.rank, worldSize: communicator.worldSize)
      try inference.forEachBatch(of: selection, in: share) { indices, batch in
        let perceptualTarget = perceptual?.features(of: batch)
        if let inception { originals?.add(inception(unitRange(batch)), at: indices) }
        for (column, keep) in keepCounts.enumerated() {
          let encoded = tokenizer.model.encode(batch, keep: keep)
          let output = clamped(tokenizer.model.decode(encoded, source: options.source))
          totals[column].add(
            output, to: batch, encoded: encoded, predicted: tokenizer.model.predictedGroups(encoded),
            perceptualDistance: perceptualTarget.map { target in perceptual.map { $0(output, to: target).values } ?? []
            })
          if let inception { totals[column].features?.add(inception(unitRange(output)), at: indices) }
        }
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
    return EvaluationReport(provenance: provenance, imageCount: count, rows: rows)
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
private func unitRange(_ x: Tensor) -> Tensor {
  let y = Tensor(uninitialized: x.shape)
  for index in 0..<x.count { y.pointer[index] = x.pointer[index] * 0.5 + 0.5 }
  return y
}
