public import Evaluation
import Foundation
import Scaling

/// A study as a table and as a picture.
public struct StudyReport {
  private let study: Study

  /// A report of a study with at least one setting, each started at least once.
  public init(_ study: Study) { self.study = study }

  private struct Row {
    let setting: Study.Setting
    let step: Estimate
    let parts: StepModel.Breakdown
    let samplesPerSecond: Double
    let efficiency: Double
  }

  private var rows: [Row] {
    func rate(_ setting: Study.Setting) -> Double { Double(setting.globalBatch) / setting.stepSeconds.mean }
    // Against the fewest ranks, rank by rank.
    let reference = study.settings.min { $0.shape.worldSize < $1.shape.worldSize }
    let best = reference.map { rate($0) / Double($0.shape.worldSize) } ?? 1
    return study.settings.map { setting in
      Row(
        setting: setting, step: setting.stepSeconds, parts: setting.breakdown, samplesPerSecond: rate(setting),
        efficiency: rate(setting) / Double(setting.shape.worldSize) / best)
    }
  }

  /// One line per setting; times in seconds.
  public var csv: String {
    let header =
      "ranks,nodes,network,global_batch,starts,step_s,step_ci95_s,samples_per_s,efficiency,compute_s,data_s,imbalance_s,"
      + "communication_s\n"
    return header
      + rows.map { row in
        let shape = row.setting.shape
        let values = [row.step.mean, row.step.halfWidth, row.samplesPerSecond, row.efficiency] + row.parts.values
        let network = row.setting.network.map { $0.name.replacing(",", with: " ") } ?? ""
        return "\(shape.worldSize),\(shape.nodeCount),\(network),"
          + "\(row.setting.globalBatch),\(row.setting.runs.count),"
          + values.map { String(format: "%.6g", $0) }.joined(separator: ",") + "\n"
      }.joined()
  }

  /// The same for people.
  public var markdown: String {
    let header = [
      "ranks", "nodes", "batch", "s a step (95 %)", "samples/s", "efficiency", "compute", "data", "imbalance",
      "communication",
    ]
    return table(
      header,
      rows.map { row in
        let shape = row.setting.shape
        let shares = row.parts.values.map { percent($0 / row.parts.total) }
        let width = row.step.halfWidth.isFinite ? " ± \(number(row.step.halfWidth))" : ""
        return [
          "\(shape.worldSize)", "\(shape.nodeCount)" + (row.setting.network.map { " (\($0.name))" } ?? ""),
          "\(row.setting.globalBatch)", number(row.step.mean) + width, number(row.samplesPerSecond),
          percent(row.efficiency),
        ] + shares
      })
  }

  /// Throughput, efficiency and the parts of a step over the number of ranks.
  public var plot: LinePlot {
    let rows = rows.sorted { $0.setting.shape.worldSize < $1.setting.shape.worldSize }
    let ranks = rows.map { Double($0.setting.shape.worldSize) }
    let perRank = rows.first.map { $0.samplesPerSecond / Double($0.setting.shape.worldSize) } ?? 0
    let parts = StepModel.Breakdown.names.enumerated().map { index, name in
      LinePlot.Series(name, x: ranks, y: rows.map { $0.parts.values[index] })
    }
    return LinePlot(
      title: "\(study.recipe), \(study.mode.rawValue) scaling",
      panels: [
        LinePlot.Panel(
          title: "throughput",
          series: [
            LinePlot.Series("measured", x: ranks, y: rows.map(\.samplesPerSecond)),
            LinePlot.Series("linear", x: ranks, y: ranks.map { $0 * perRank }),
          ], scale: .logarithmic, verticalLabel: "samples/s", showsPoints: true),
        LinePlot.Panel(
          title: "efficiency", series: [LinePlot.Series("measured", x: ranks, y: rows.map(\.efficiency))],
          showsPoints: true),
        LinePlot.Panel(title: "parts of a step", series: parts, verticalLabel: "s", showsPoints: true),
      ], horizontalLabel: "ranks", horizontalScale: .logarithmic)
  }
}

extension StepModel.Breakdown {
  /// What the parts are called, in order.
  static let names = ["compute", "data", "imbalance", "communication"]
  /// The parts in that order.
  var values: [Double] { [compute, data, imbalance, communication] }
}

/// A table in Markdown.
func table(_ header: [String], _ rows: [[String]]) -> String {
  func line(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |\n" }
  return line(header) + line(header.map { _ in "---" }) + rows.map(line).joined()
}

/// Three significant digits.
func number(_ value: Double) -> String {
  let size = abs(value)
  guard size > 0, size < 100 else { return String(format: "%.0f", value) }
  let digits = min(8, 2 - Int(log10(size).rounded(.down)))
  return String(format: "%.\(digits)f", value)
}

/// `12.3 %`.
func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
