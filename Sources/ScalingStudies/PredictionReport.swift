public import Evaluation
import Foundation
public import Scaling

/// Predicted curves of one training on several networks, as tables and as a picture.
public struct PredictionReport {
  /// One network.
  public struct Prediction: Sendable {
    /// Between the nodes.
    public var network: Network
    /// What is to be expected of it.
    public var curve: ScalingCurve

    /// A curve of a network.
    public init(network: Network, curve: ScalingCurve) {
      self.network = network
      self.curve = curve
    }
  }

  private let title: String
  private let predictions: [Prediction]
  private let efficiencyLimit: Double

  /// A report.
  /// - Parameters:
  ///   - title: Stands above the tables and the plot.
  ///   - predictions: One for each network.
  ///   - efficiencyLimit: What still counts as efficient, from 0 to 1.
  public init(title: String, predictions: [Prediction], efficiencyLimit: Double) {
    self.title = title
    self.predictions = predictions
    self.efficiencyLimit = efficiencyLimit
  }

  private var points: [(network: Network, point: ScalingCurve.Point)] {
    predictions.flatMap { prediction in prediction.curve.points.map { (prediction.network, $0) } }
  }

  /// One line per network and number of ranks; times in seconds.
  public var csv: String {
    let header =
      "network,ranks,nodes,global_batch,step_s,compute_s,data_s,imbalance_s,communication_s,samples_per_s,efficiency,"
      + "days,node_hours,checkpoint_interval_s,lost_share\n"
    return header
      + points.map { network, point in
        let values =
          [point.step.total] + point.step.values
          + [point.samplesPerSecond, point.efficiency, point.days, point.nodeHours, point.checkpointInterval]
          + [point.lostShare]
        return "\(network.name.replacing(",", with: " ")),\(point.worldSize),\(point.nodeCount),\(point.globalBatch),"
          + values.map { String(format: "%.6g", $0) }.joined(separator: ",") + "\n"
      }.joined()
  }

  /// What the curves come to: the largest efficient number of ranks on every network.
  public var summary: String {
    table(
      [
        "network", "ranks at ≥ \(percent(efficiencyLimit))", "nodes", "s a step", "communication", "samples/s", "days",
        "node-hours", "checkpoint every", "lost",
      ],
      predictions.map { prediction in
        guard let point = prediction.curve.largestEfficient(efficiencyLimit) else {
          return [prediction.network.name, "none"] + [String](repeating: "", count: 8)
        }
        return [prediction.network.name] + Self.cells(point)
      })
  }

  /// Every point.
  public var markdown: String {
    predictions.map { prediction in
      "\(prediction.network.name)\n\n"
        + table(
          [
            "ranks", "nodes", "s a step", "communication", "samples/s", "days", "node-hours", "checkpoint every",
            "lost", "efficiency",
          ], prediction.curve.points.map { Self.cells($0) + [percent($0.efficiency)] })
    }.joined(separator: "\n")
  }

  private static func cells(_ point: ScalingCurve.Point) -> [String] {
    [
      "\(point.worldSize)", "\(point.nodeCount)", number(point.step.total),
      percent(point.step.communication / point.step.total), number(point.samplesPerSecond), number(point.days),
      number(point.nodeHours), "\(number(point.checkpointInterval / 60)) min", percent(point.lostShare),
    ]
  }

  /// Efficiency, throughput, days and communication over the number of ranks, a curve per network.
  public var plot: LinePlot {
    func panel(
      _ name: String, _ scale: PlotScale, _ unit: String, _ value: (ScalingCurve.Point) -> Double
    ) -> LinePlot.Panel {
      LinePlot.Panel(
        title: name,
        series: predictions.map { prediction in
          LinePlot.Series(
            prediction.network.name, x: prediction.curve.points.map { Double($0.worldSize) },
            y: prediction.curve.points.map(value))
        }, scale: scale, verticalLabel: unit, showsPoints: true)
    }
    return LinePlot(
      title: title,
      panels: [
        panel("efficiency", .linear, "", \.efficiency),
        panel("throughput", .logarithmic, "samples/s", \.samplesPerSecond),
        panel("expected time, failures included", .logarithmic, "days", \.days),
        panel("communication in a step", .logarithmic, "s", \.step.communication),
      ], horizontalLabel: "ranks", horizontalScale: .logarithmic)
  }
}
