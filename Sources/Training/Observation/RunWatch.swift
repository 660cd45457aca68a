import Foundation

/// A run as a terminal shows it, from its directory alone: `mergevq watch`.
public struct RunWatch {
  /// What there is to see.
  public struct Frame: Equatable, Sendable {
    /// Lines to show.
    public let text: String
    /// Whether all ranks have ended in good order.
    public let hasEnded: Bool
  }

  private let directory: RunDirectory
  private let width: Int
  /// The last beat of every rank, and when it was first seen.
  private var beats: [Int: (beat: Int, process: Int32, since: ContinuousClock.Instant)] = [:]

  /// Watches a run directory, which need not exist yet.
  /// - Parameters:
  ///   - runDirectory: The path of the run directory.
  ///   - width: Columns of the terminal; longer lines are cut.
  public init(_ runDirectory: String, width: Int = 80) {
    directory = RunDirectory(path: runDirectory)
    self.width = width
  }

  /// What the run looks like now.
  /// - Throws: `RunDirectoryError` if its metrics are there but cannot be read; `ConfigError` while it was not started.
  public mutating func frame(now: ContinuousClock.Instant = .now) throws -> Frame {
    let status = try RunStatus(directory.path)
    let records = access(directory.metricsPath, F_OK) == 0 ? try MetricsLog.records(of: directory) : []
    let step = status.heartbeats.map(\.step).max() ?? 0
    let hasEnded = status.heartbeats.allSatisfy { $0.activity == "ended" }
    var lines = [heading(status, step: step, records: records, hasEnded: hasEnded), ""]
    lines += curves(records)
    if let rates = rates(records) { lines += ["", rates] }
    if let validation = records.last(where: { $0.kind == .validation }) {
      let values = validation.values.sorted { $0.key < $1.key }.map { "\($0.key) \(String(format: "%.4g", $0.value))" }
      lines += ["", "validation after step \(validation.step): \(values.joined(separator: ", "))"]
    }
    lines += [""] + status.text.split(separator: "\n").map(String.init)
    let silent = silentRanks(status, now: now)
    if !silent.isEmpty && !hasEnded { lines += ["", "silent: \(silent.joined(separator: ", "))"] }
    return Frame(text: lines.map { $0.prefix(width) + "\n" }.joined(), hasEnded: hasEnded)
  }

  private func heading(_ status: RunStatus, step: Int, records: [MetricsRecord], hasEnded: Bool) -> String {
    guard let total = status.heartbeats.compactMap(\.totalSteps).first, total > 0 else {
      return "\(directory.path)  step \(step)"
    }
    let filled = min(20, 20 * step / total)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
    var text = "\(directory.path)  step \(step)/\(total)  \(bar) \(100 * step / total) %"
    if hasEnded {
      text += "  ended"
    } else if let shares = records.last(where: { $0.kind == .train }).flatMap({ StepShares($0.values) }) {
      text += "  \(coarseText(.seconds(shares.seconds * Double(total - step)))) left"
    }
    return text
  }

  /// A line for every curve worth a line.
  private func curves(_ records: [MetricsRecord]) -> [String] {
    let shown: [(MetricsRecord.Kind, String)] = [
      (.train, "loss"), (.train, "l1"), (.train, "pre"), (.train, "post"), (.train, "gradientNorm"),
      (.train, "codesUsed"), (.train, "imagesPerSecond"), (.validation, "loss"), (.validation, "psnr"),
    ]
    return shown.compactMap { kind, name in
      let values = records.filter { $0.kind == kind }.compactMap { $0.values[name] }
      guard let last = values.last else { return nil }
      let label = (kind == .validation ? "validation \(name)" : name).padding(
        toLength: 16, withPad: " ", startingAt: 0)
      let number = String(format: "%.4g", last)
      let column = number + String(repeating: " ", count: max(0, 10 - number.count))
      return "\(label)  \(column)  \(Self.sparkline(values, columns: max(8, min(width, 100) - 32)))"
    }
  }

  private func rates(_ records: [MetricsRecord]) -> String? {
    guard let values = records.last(where: { $0.kind == .train })?.values else { return nil }
    var parts: [String] = []
    if let images = values["imagesPerSecond"] { parts.append(String(format: "%.1f images/s", images)) }
    if let gflops = values["gflops"], let share = values["peakShare"] {
      parts.append(String(format: "%.0f GFLOPS (%.0f %% of peak)", gflops, 100 * share))
    }
    if let shares = StepShares(values) {
      parts.append(
        String(format: "waits: data %.1f %%, communication %.1f %%", 100 * shares.data, 100 * shares.communication))
    }
    return parts.isEmpty ? nil : parts.joined(separator: " | ")
  }

  /// Ranks whose heartbeat has not moved for 20 s: four times as long as they take by default.
  private mutating func silentRanks(_ status: RunStatus, now: ContinuousClock.Instant) -> [String] {
    status.heartbeats.compactMap { beat in
      if let seen = beats[beat.rank], seen.beat == beat.beat, seen.process == beat.processIdentifier {
        let silence = now - seen.since
        return silence > .seconds(20) ? "rank \(beat.rank) for \(coarseText(silence))" : nil
      }
      beats[beat.rank] = (beat.beat, beat.processIdentifier, now)
      return nil
    }
  }

  /// A curve in eight heights, the newest value at the right; where there are more values than columns, their means.
  static func sparkline(_ values: [Double], columns: Int) -> String {
    let count = min(columns, values.count)
    let means = (0..<count).map { column -> Double in
      let part = values[column * values.count / count..<(column + 1) * values.count / count].filter(\.isFinite)
      return part.isEmpty ? .nan : part.reduce(0, +) / Double(part.count)
    }
    guard let low = means.filter(\.isFinite).min(), let high = means.filter(\.isFinite).max() else { return "" }
    let blocks = Array("▁▂▃▄▅▆▇█")
    return String(
      means.map { mean -> Character in
        guard mean.isFinite else { return " " }
        return blocks[high > low ? min(7, Int(8 * (mean - low) / (high - low))) : 3]
      })
  }
}
