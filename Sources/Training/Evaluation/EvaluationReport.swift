import Checkpointing
import DataLoading
import Evaluation
import Foundation
import Layers
import Tensors
import Tokenizer

/// The figures of an evaluation with everything that they depend on.
public struct EvaluationReport: Encodable, Sendable {
  /// What the figures depend on.
  public struct Provenance: Encodable, Sendable {
    var protocolName: String
    var images: [String]
    var split: String?
    var view: String
    var source: String
    var reference: String
    var tokenizer: Tokenizer
    var networks: [Network]
    var definitions: [String: String]

    enum CodingKeys: String, CodingKey {
      case protocolName = "protocol"
      case images, split, view, source, reference, tokenizer, networks, definitions
    }

    struct Tokenizer: Encodable, Sendable {
      var name: String
      var path: String
      var step: Int?
      var weights: String
      var sha256: String
    }
  }

  /// Weights of a network that judges images.
  public struct Network: Encodable, Sendable {
    /// `inception` or `lpips`.
    var network: String
    /// The weight files.
    var paths: [String]
    /// Their SHA-256.
    var sha256: [String]
    /// Whether these are the published weights, as far as their hashes tell; nil where no hash is known.
    var isPublished: Bool?
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
  /// Images evaluated.
  public let imageCount: Int
  /// The figures, one row a keep count.
  public let rows: [Row]

  /// Writes the report as JSON.
  /// - Throws: `RunDirectoryError` if it cannot be written.
  public func write(to output: NewOutput) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try replaceFile(output.path, with: Array(try encoder.encode(self)) + [UInt8(ascii: "\n")])
  }

  /// The report for people: a table, and what must be known to read it.
  public var text: String {
    let columns: [(title: String, value: (Row) -> String?)] = [
      ("tokens", { String($0.keepCount) }),
      ("L1", { String(format: "%.4f", $0.meanAbsoluteError) }),
      ("PSNR, dB", { String(format: "%.3f", $0.peakSignalToNoise) }),
      ("SSIM", { String(format: "%.4f", $0.structuralSimilarity) }),
      ("LPIPS", { $0.perceptualDistance.map { String(format: "%.4f", $0) } }),
      ("rFID", { $0.frechetDistance.map { String(format: "%.3f", $0) } }),
      ("IS", { $0.inceptionScore.map { String(format: "%.2f", $0) } }),
      ("precision", { $0.precision.map { String(format: "%.3f", $0) } }),
      ("recall", { $0.recall.map { String(format: "%.3f", $0) } }),
      ("codes used", { String(format: "%.2f %%", 100 * $0.codesUsed) }),
      ("perplexity", { String(format: "%.1f", $0.codePerplexity) }),
      ("sources right", { $0.sourcesRight.map { String(format: "%.1f %%", 100 * $0) } }),
    ]
    let shown = columns.filter { column in rows.contains { column.value($0) != nil } }
    let cells = [shown.map(\.title)] + rows.map { row in shown.map { $0.value(row) ?? "–" } }
    let widths = shown.indices.map { index in cells.map { $0[index].count }.max() ?? 0 }
    let table = cells.map { line in
      zip(line, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
    }
    return table.joined(separator: "\n") + "\n" + notes.map { $0 + "\n" }.joined()
  }

  private var notes: [String] {
    var notes = [
      "\(imageCount) images\(provenance.split.map { " of \($0)" } ?? ""), \(provenance.view), source "
        + "\(provenance.source), tokenizer \(provenance.tokenizer.sha256.prefix(12))…"
    ]
    for network in provenance.networks where network.isPublished == false {
      notes.append(
        "\(network.paths.joined(separator: ", ")) does not hold the published \(network.network) weights: figures that use it compare with "
          + "nothing but figures of the same file")
    }
    if rows.contains(where: { $0.isRankDeficient == true }) {
      notes.append(
        "\(imageCount) images are too few for \(InceptionNetwork.featureCount) features: rFID is biased upwards")
    }
    if provenance.networks.contains(where: { $0.network == PublishedNetwork.inception.rawValue }),
      rows.contains(where: { $0.frechetDistance == nil })
    {
      notes.append("rFID is missing: it needs two images at least, and features that are finite and below 10⁶")
    }
    return notes
  }
}

extension EvaluationReport.Network {
  /// What the file name of the published Inception weights, `pt_inception-2015-12-05-6726825d.pth`, says of its hash.
  private static let publishedInceptionHash = "6726825d"

  /// Loads weights, imported or as published.
  /// - Throws: `UnfitWeights`, `CheckpointError`.
  init(loading network: PublishedNetwork, from paths: [String], into module: some Module) throws {
    let files = try paths.map { try WeightFile.open($0) }
    let weights = WeightImport(files, names: .named(network, names: Set(files.flatMap { $0.names })))
    try weights.loadCompletely(into: module, files: files)
    self.network = network.rawValue
    self.paths = paths
    sha256 = try paths.map { try Checkpointing.sha256(ofFile: $0) }
    // An import remembers the hashes of what it read.
    let origins = files.flatMap { file in
      (file.metadata[WeightFileKey.source] ?? "").split(separator: "\n").compactMap {
        $0.split(separator: " ").last.map(String.init)
      }
    }
    isPublished =
      network == .inception
      ? (sha256 + origins).contains { $0.hasPrefix(Self.publishedInceptionHash) } : nil
  }
}

extension EvaluationReport.Provenance {
  init(
    tokenizer: TrainedTokenizer, images: [String], options: TokenizerEvaluation.Options, view: ViewOptions,
    networks: [EvaluationReport.Network]
  ) {
    protocolName = options.inception == nil ? "none" : "pytorch-fid"
    self.images = images
    split = options.split
    self.view =
      "shorter side to \(view.shorterSide ?? view.resolution), middle \(view.resolution) × \(view.resolution)"
    source = options.source.rawValue
    reference = "the same images, unquantised"
    self.tokenizer = Tokenizer(
      name: tokenizer.recipe.name, path: tokenizer.path, step: tokenizer.step, weights: tokenizer.weights.rawValue,
      sha256: tokenizer.fingerprint)
    self.networks = networks
    definitions = [
      "psnr": "mean over images, 10·log10(4 / mean squared error), pixels in [-1, 1], not rounded",
      "ssim": "Gaussian window 11, σ 1.5, borders mirrored, pixels in [0, 1], mean over channels and images",
    ]
    if options.inception != nil {
      definitions["fid"] = "Inception-v3 pool features, bilinear resize to 299, pixels not rounded to 8 bits"
      definitions["inceptionScore"] = "10 parts at most, 1008 classes"
    }
    if options.wantsPrecisionAndRecall { definitions["precision, recall"] = "k = 3, Inception-v3 pool features" }
  }
}
