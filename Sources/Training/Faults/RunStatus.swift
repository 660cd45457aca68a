import Foundation

/// Where the ranks of a run are, as their heartbeats say: what `mergevq status` shows.
public struct RunStatus {
  /// The heartbeats that there are, by rank.
  public let heartbeats: [Heartbeat]

  /// Reads the heartbeats of a run.
  /// - Throws: `ConfigError` if there are none.
  public init(_ runDirectory: String) throws(ConfigError) {
    let directory = RunDirectory(path: runDirectory)
    guard let first = directory.heartbeat(rank: 0) else {
      throw ConfigError(
        origin: runDirectory, problem: "holds no heartbeats; name the directory of a run that was started")
    }
    heartbeats = (0..<first.worldSize).compactMap { directory.heartbeat(rank: $0) }
  }

  /// A line for each rank, then the slow hosts.
  public var text: String {
    let header = ["rank", "host", "step", "work", "data", "communication", "GFLOPS", "memory", "written", "doing"]
    let rows = heartbeats.map { beat in
      let times = beat.times.map { [$0.work, $0.data, $0.communication].map(Self.seconds) } ?? ["–", "–", "–"]
      let rate = beat.rate.map { String(format: "%.1f", $0.gflops) } ?? "–"
      let memory = beat.rate?.peakMemory.map { String(format: "%.2f GiB", Double($0) / 1_073_741_824) } ?? "–"
      return ["\(beat.rank)", beat.host, "\(beat.step)"] + times + [rate, memory, beat.time, beat.place]
    }
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    let lines = ([header] + rows).map { row in
      zip(row, widths).map { $0.padding(toLength: max($1, $0.count), withPad: " ", startingAt: 0) }
        .joined(separator: "  ").trimmingCharacters(in: .whitespaces) + "\n"
    }
    let measured = heartbeats.filter { $0.times != nil }
    let report = StragglerReport(times: measured.compactMap(\.times), hosts: measured.map(\.host))
    return lines.joined() + (report.message(ranks: measured.map(\.rank)).map { $0 + "\n" } ?? "")
  }

  private static func seconds(_ value: Double) -> String { String(format: "%.3f s", value) }
}
