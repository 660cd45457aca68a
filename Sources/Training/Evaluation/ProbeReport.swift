import Foundation

/// The figures of a probe with everything that they depend on.
public struct ProbeReport: ReportFile {
  /// Images that were probed.
  struct Images: Encodable, Sendable {
    var path: String
    var count: Int
    /// SHA-256 of the images as they were seen.
    var pixels: String
  }

  /// What the figures depend on.
  struct Provenance: Encodable, Sendable {
    var tokenizer: TokenizerProvenance
    var feature: ProbedFeature
    var featureCount: Int
    var keepCount: Int
    var view: String
    var classCount: Int
    var train: Images, validation: Images
    var recipe: ProbeRecipe
    var neighbours: Int
    var temperature: Double
  }

  /// The figures of one set of weights.
  public struct Row: Encodable, Sendable, Equatable {
    /// `trained`, or `random`: those that its training began with.
    public var weights: String
    /// Of the linear probe, on validation images.
    public var linear: ProbeAccuracy
    /// Of the linear probe, on the images that it was trained on.
    public var linearOnTraining: ProbeAccuracy
    /// Mean cross-entropy of its last epoch, in nats.
    public var linearTrainingLoss: Double
    /// Of the nearest neighbours, on validation images.
    public var neighbours: ProbeAccuracy
  }

  /// What the figures depend on.
  let provenance: Provenance
  /// The trained weights, then the random ones if they were asked for.
  public let rows: [Row]

  /// A table, and what must be known to read it.
  public var text: String {
    func share(_ value: Double?) -> String? { value.map { String(format: "%.2f %%", 100 * $0) } }
    let table = Self.table(
      rows,
      [
        ("weights", { $0.weights }), ("linear top-1", { share($0.linear.top1) }),
        ("top-5", { share($0.linear.top5) }), ("on training", { share($0.linearOnTraining.top1) }),
        ("loss", { String(format: "%.4f", $0.linearTrainingLoss) }),
        ("\(provenance.neighbours)-NN top-1", { share($0.neighbours.top1) }),
        ("top-5", { share($0.neighbours.top5) }),
      ])
    var lines = [
      "\(provenance.feature.rawValue) of \(provenance.featureCount) values at \(provenance.keepCount) tokens, "
        + "\(provenance.classCount) classes, \(provenance.train.count) images to train on, "
        + "\(provenance.validation.count) to judge by, \(provenance.view)"
    ]
    if rows.count == 2 {
      let (linear, near) = (
        rows[0].linear.top1 - rows[1].linear.top1, rows[0].neighbours.top1 - rows[1].neighbours.top1
      )
      lines.append(
        String(
          format: "training gained %.2f points in the linear probe, %.2f among neighbours", 100 * linear, 100 * near))
    }
    return table + lines.map { $0 + "\n" }.joined()
  }
}
