/// What a step takes one rank, in seconds, averaged over some steps.
///
/// All ranks take the same time for a whole step, because they wait for the slowest. What a rank takes for its own work
/// tells who that is.
public struct StepTimes: Codable, Sendable, Equatable {
  /// Computing: everything that is neither of the other two.
  public var work: Double
  /// Waiting for images.
  public var data: Double
  /// In collective operations: the transfer itself, and waiting for slower ranks.
  public var communication: Double

  /// Names the three parts.
  public init(work: Double, data: Double, communication: Double) {
    self.work = work
    self.data = data
    self.communication = communication
  }

  /// What the metrics call them: `workSeconds[3]` for rank 3.
  func values(ofRank rank: Int) -> [(name: String, value: Double)] {
    [("workSeconds[\(rank)]", work), ("dataSeconds[\(rank)]", data), ("communicationSeconds[\(rank)]", communication)]
  }

  /// The times of every rank, by rank, in a record that has them; nil where it has none.
  public static func ofRanks(in record: MetricsRecord) -> [StepTimes]? {
    var times: [StepTimes] = []
    func value(_ name: String) -> Double? { record.values["\(name)[\(times.count)]"] }
    while let work = value("workSeconds"), let data = value("dataSeconds"),
      let communication = value("communicationSeconds")
    {
      times.append(StepTimes(work: work, data: data, communication: communication))
    }
    return times.isEmpty ? nil : times
  }
}

/// Which ranks and hosts keep the others waiting.
struct StragglerReport {
  /// Smallest, middle and largest of something by rank.
  struct Spread: Equatable {
    let minimum: Double
    let median: Double
    let maximum: Double
    /// The lowest rank that has the maximum.
    let slowestRank: Int

    init(_ values: [Double]) {
      let sorted = values.sorted()
      minimum = sorted.first ?? 0
      median = sorted.isEmpty ? 0 : sorted[(sorted.count - 1) / 2]
      maximum = sorted.last ?? 0
      slowestRank = values.firstIndex(of: maximum) ?? 0
    }
  }

  /// Seconds of computing in a step.
  let work: Spread
  /// Seconds of waiting for images in a step.
  let data: Spread
  /// Seconds in collective operations in a step.
  let communication: Spread
  /// Hosts whose slowest rank needs much longer than the median rank, slowest first; at most three.
  let slowHosts: [(host: String, rank: Int, seconds: Double)]

  /// From this many times the median on, a rank counts as slow.
  static let slownessLimit = 1.25

  /// Compares the ranks, given what a step takes each of them, and its host.
  init(times: [StepTimes], hosts: [String]) {
    work = Spread(times.map(\.work))
    data = Spread(times.map(\.data))
    communication = Spread(times.map(\.communication))
    let own = times.map { $0.work + $0.data }
    let limit = Spread(own).median * Self.slownessLimit
    var slowest: [String: (rank: Int, seconds: Double)] = [:]
    for (rank, seconds) in own.enumerated() where seconds > limit && seconds > slowest[hosts[rank]]?.seconds ?? 0 {
      slowest[hosts[rank]] = (rank, seconds)
    }
    slowHosts = Array(
      slowest.map { (host: $0.key, rank: $0.value.rank, seconds: $0.value.seconds) }
        .sorted { ($0.seconds, $1.rank) > ($1.seconds, $0.rank) }
        .prefix(3))
  }

  /// What the metrics say about it.
  var values: [(name: String, value: Double)] {
    [
      ("workSecondsMin", work.minimum), ("workSecondsMedian", work.median), ("workSecondsMax", work.maximum),
      ("dataSecondsMin", data.minimum), ("dataSecondsMedian", data.median), ("dataSecondsMax", data.maximum),
      ("communicationSecondsMedian", communication.median), ("slowestRank", Double(work.slowestRank)),
    ]
  }

  /// One line that names the slow hosts; nil if there are none.
  /// - Parameter ranks: Which ranks the times are of, where some are missing.
  func message(ranks: [Int]? = nil) -> String? {
    guard !slowHosts.isEmpty else { return nil }
    let names = slowHosts.map { host in
      "\(host.host) (rank \(ranks?[host.rank] ?? host.rank): \(formatted(host.seconds)))"
    }.joined(separator: ", ")
    return "slow hosts: \(names); the median rank takes \(formatted(work.median + data.median)) for its work of a step"
  }

  private func formatted(_ seconds: Double) -> String {
    seconds < 1 ? "\(Int((seconds * 1000).rounded())) ms" : "\((seconds * 10).rounded() / 10) s"
  }
}
