import DataLoading
import Evaluation
import Foundation

/// The figures of a tokenizer's evaluation with everything that they depend on.
public struct EvaluationReport: ReportFile {
  /// What the figures depend on.
  public struct Provenance: Encodable, Sendable {
    var protocolName: String
    var images: [String]
    /// SHA-256 of the images as they were seen.
    var pixels: String
    var imageCount: Int
    var split: String?
    var view: String
    var source: String
    var reference: String
    var tokenizer: TokenizerProvenance
    var networks: [JudgingNetwork]
    var definitions: [String: String]

    enum CodingKeys: String, CodingKey {
      case protocolName = "protocol"
      case images, pixels, imageCount, split, view, source, reference, tokenizer, networks, definitions
    }
  }

  /// The figures of one keep count; what was not measured is nil.
  public struct Row: Encodable, Sendable, Equatable {
    /// Tokens kept.
    public var keepCount: Int
    /// Mean |x − x̂|, pixels in `[-1, 1]`.
    public var meanAbsoluteError: Double
    /// Mean over images, in dB.
    public var peakSignalToNoise: Double
    /// Mean over images.
    public var structuralSimilarity: Double
    /// LPIPS, mean over images.
    public var perceptualDistance: Double?
    /// rFID.
    public var frechetDistance: Double?
    /// Whether there were too few images for a covariance of full rank: rFID is biased upwards more than usual.
    public var isRankDeficient: Bool?
    /// Of the reconstructions: mean and deviation over ten parts.
    public var inceptionScore: Double?, inceptionScoreDeviation: Double?
    /// Of the reconstructions against the images, k = 3.
    public var precision: Double?, recall: Double?
    /// Share of codes used, and how evenly.
    public var codesUsed: Double, codePerplexity: Double
    /// Codes never used, and codes counted.
    public var codesDead: Int, codesCounted: Int64
    /// Share of positions whose group the learned recovery predicts right.
    public var sourcesRight: Double?
  }

  /// What the figures depend on.
  public let provenance: Provenance
  /// The figures, one row a keep count.
  public let rows: [Row]
  /// The report for people: a table, and what must be known to read it.
  public var text: String {
    Self.table(rows, columns) + notes.map { $0 + "\n" }.joined()
  }

  private var columns: [(title: String, value: (Row) -> String?)] {
    [
      ("tokens", { String($0.keepCount) }),
      ("L1", { String(format: "%.4f", $0.meanAbsoluteError) }),
      ("PSNR, dB", { String(format: "%.3f", $0.peakSignalToNoise) }),
      ("SSIM", { String(format: "%.4f", $0.structuralSimilarity) }),
      ("LPIPS", { $0.perceptualDistance.map { String(format: "%.4f", $0) } }),
      ("rFID", { $0.frechetDistance.map { String(format: "%.4g", $0) } }),
      ("IS", { $0.inceptionScore.map { String(format: "%.4g", $0) } }),
      ("precision", { $0.precision.map { String(format: "%.3f", $0) } }),
      ("recall", { $0.recall.map { String(format: "%.3f", $0) } }),
      ("codes used", { String(format: "%.2f %%", 100 * $0.codesUsed) }),
      ("perplexity", { String(format: "%.1f", $0.codePerplexity) }),
      ("sources right", { $0.sourcesRight.map { String(format: "%.1f %%", 100 * $0) } }),
    ]
  }

  private var notes: [String] {
    let count = provenance.imageCount
    var notes = [
      "\(count) images\(provenance.split.map { " of \($0)" } ?? ""), \(provenance.view), protocol "
        + "\(provenance.protocolName), source \(provenance.source), tokenizer "
        + "\(provenance.tokenizer.sha256.prefix(12))…"
    ]
    notes += provenance.networks.compactMap(\.note)
    if rows.contains(where: { $0.isRankDeficient == true }) {
      notes.append("\(count) images are too few for \(InceptionNetwork.featureCount) features: rFID is biased upwards")
    }
    if provenance.networks.contains(where: { $0.network == PublishedNetwork.inception.rawValue }),
      rows.contains(where: { $0.frechetDistance == nil })
    {
      notes.append("rFID is missing: it needs two images at least, and features that are finite and below 10⁶")
    }
    return notes
  }
}

extension EvaluationReport.Provenance {
  init(
    tokenizer: TrainedTokenizer, images: [String], options: TokenizerEvaluation.Options, view: ViewOptions,
    networks: [JudgingNetwork]
  ) {
    protocolName = options.inception == nil ? "none" : options.convention.rawValue
    self.images = images
    (pixels, imageCount) = ("", 0)
    split = options.split ?? SplitName(paths: images)?.name
    self.view = view.cropRule
    source = options.source.rawValue
    reference = "the same images, unquantised"
    self.tokenizer = TokenizerProvenance(tokenizer)
    self.networks = networks
    definitions = [
      "psnr": "mean over images, 10·log10(4 / mean squared error), pixels in [-1, 1], not rounded",
      "ssim": "Gaussian window 11, σ 1.5, borders mirrored, pixels in [0, 1], mean over channels and images",
    ]
    if options.inception != nil {
      definitions.merge(options.convention.definitions) { $1 }
      definitions["sfid"] = nil
    }
  }
}

/// Which tokenizer it was.
struct TokenizerProvenance: Encodable, Sendable {
  var name: String
  var path: String
  var step: Int?
  var weights: String
  var sha256: String

  init(_ tokenizer: TrainedTokenizer) {
    (name, path, step) = (tokenizer.recipe.name, tokenizer.path, tokenizer.step)
    (weights, sha256) = (tokenizer.weights.rawValue, tokenizer.fingerprint)
  }
}

extension ViewOptions {
  /// How images become what is judged, for people.
  var cropRule: String {
    "shorter side to \(shorterSide ?? resolution), middle \(resolution) × \(resolution)"
  }
}
