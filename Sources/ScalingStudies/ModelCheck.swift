public import Scaling
import Training

/// Predictions of a model against what studies measured.
public struct ModelCheck {
  /// One setting.
  public struct Row: Sendable {
    /// The study's recipe.
    public var recipe: String
    /// How the ranks lay.
    public var shape: JobShape
    /// Samples of a step, of all ranks.
    public var globalBatch: Int
    /// Between the nodes.
    public var network: Network?
    /// Measured seconds of a step.
    public var measured: Estimate
    /// Predicted parts of a step.
    public var predicted: StepModel.Breakdown
    /// Predicted over measured, less 1.
    public var error: Double { predicted.total / measured.mean - 1 }
  }

  /// A row for every setting.
  public let rows: [Row]

  /// Predicts every setting of the studies.
  /// - Throws: `ConfigError` for a setting on several nodes whose network is not known.
  public init(_ model: StepModel, studies: [Study], named names: [String]) throws(ConfigError) {
    var rows: [Row] = []
    for (study, name) in zip(studies, names) {
      for setting in study.settings {
        guard setting.shape.nodeCount == 1 || setting.network != nil else {
          throw ConfigError(
            origin: name,
            problem: "ran on \(setting.shape.nodeCount) nodes of an unknown network; measure with scaling run --network"
          )
        }
        let free = Network(name: "none", latency: 0, overhead: 0, bytesPerSecond: .infinity)
        rows.append(
          Row(
            recipe: study.recipe, shape: setting.shape, globalBatch: setting.globalBatch, network: setting.network,
            measured: setting.stepSeconds,
            predicted: model.step(
              study.work, samplesPerRank: Double(setting.globalBatch) / Double(setting.shape.worldSize),
              shape: setting.shape, network: setting.network ?? free)))
      }
    }
    self.rows = rows
  }

  /// The mean of the errors' sizes.
  public var meanError: Double { rows.isEmpty ? 0 : rows.reduce(0) { $0 + abs($1.error) } / Double(rows.count) }

  /// The table, in Markdown.
  public var markdown: String {
    table(
      ["recipe", "nodes × ranks", "network", "batch", "measured, s", "predicted, s", "of it communication", "error"],
      rows.map { row in
        [
          row.recipe, "\(row.shape.nodeCount) × \(row.shape.ranksOfFullestNode)", row.network?.name ?? "",
          "\(row.globalBatch)", number(row.measured.mean), number(row.predicted.total),
          percent(row.predicted.communication / row.predicted.total),
          (row.error > 0 ? "+" : "") + percent(row.error),
        ]
      })
  }
}
