import Evaluation
import Foundation

/// The figures of generated images with everything that they depend on.
public struct GeneratorReport: ReportFile {
  /// What was judged.
  struct Samples: Encodable, Sendable {
    var paths: [String]
    var count: Int
    /// SHA-256 of the images as they were seen.
    var pixels: String
    var view: String
    /// Which generator drew them, where the file says it.
    var origin: SampleOrigin?
  }

  /// What was measured; nil otherwise.
  public struct Figures: Encodable, Sendable, Equatable {
    /// gFID.
    public var frechetDistance: Double?
    /// sFID.
    public var spatialFrechetDistance: Double?
    /// Whether there were too few images for a covariance of full rank: the distances are biased upwards more than usual.
    public var isRankDeficient = false
    /// Mean and deviation over parts.
    public var inceptionScore: Double?, inceptionScoreDeviation: Double?
    /// Against the reference, k = 3.
    public var precision: Double?, recall: Double?
  }

  private struct Provenance: Encodable {
    enum CodingKeys: String, CodingKey {
      case convention = "protocol"
      case samples, reference, networks, definitions, notes
    }
    let convention: EvaluationProtocol
    let samples: Samples
    let reference: FeatureReference.Provenance
    let networks: [JudgingNetwork]
    let definitions: [String: String]
    let notes: [String]
  }

  private let provenance: Provenance
  /// What was measured.
  public let figures: Figures

  init(
    protocolName: EvaluationProtocol, samples: Samples, reference: FeatureReference.Provenance,
    networks: [JudgingNetwork], notes: [String], figures: Figures
  ) {
    var notes = notes
    if figures.isRankDeficient {
      notes.append(
        "one side has too few images for \(InceptionNetwork.featureCount) features: the distances are biased upwards")
    }
    provenance = Provenance(
      convention: protocolName, samples: samples, reference: reference, networks: networks,
      definitions: protocolName.definitions, notes: notes)
    self.figures = figures
  }

  /// A table, and what must be known to read it.
  public var text: String {
    func number(_ format: String, _ value: Double?) -> String? { value.map { String(format: format, $0) } }
    let table = Self.table(
      [figures],
      [
        ("gFID", { number("%.4g", $0.frechetDistance) }), ("sFID", { number("%.4g", $0.spatialFrechetDistance) }),
        ("IS", { number("%.4g", $0.inceptionScore) }), ("precision", { number("%.3f", $0.precision) }),
        ("recall", { number("%.3f", $0.recall) }),
      ])
    let reference = provenance.reference
    let what = [
      reference.file, reference.images.map { "\($0.count) images of \($0.paths.joined(separator: ", "))" },
      reference.split.map { "split \($0)" },
    ].compactMap(\.self).joined(separator: ", ")
    let line =
      "\(provenance.samples.count) samples, \(provenance.samples.view), protocol \(provenance.convention.rawValue), "
      + "against \(what)"
    return table + ([line] + provenance.notes).map { $0 + "\n" }.joined()
  }
}
