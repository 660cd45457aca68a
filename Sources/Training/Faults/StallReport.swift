/// Why a collective operation does not end: which ranks are missing, and where every rank last was.
struct StallReport: Equatable {
  /// What is known of a rank after two looks at its heartbeat, some time apart.
  struct Observation: Equatable {
    let rank: Int
    /// The second look; nil if the rank never wrote anything.
    let heartbeat: Heartbeat?
    /// Whether it wrote between the two looks.
    let isBeating: Bool
  }

  private let observations: [Observation]
  private let ownRank: Int
  private let own: Heartbeat
  private let limit: Double

  /// Judges what `own` has waited for.
  init(_ observations: [Observation], own: Heartbeat, limit: Double) {
    self.observations = observations
    self.own = own
    self.limit = limit
    ownRank = own.rank
  }

  /// The rank that tells the user: the lowest that is itself waiting, so that it is told once.
  var reporter: Int { observations.first { !isMissing($0) }?.rank ?? ownRank }

  /// Whether a rank keeps this one waiting: it has not called the operation, or has fallen silent.
  private func isMissing(_ observation: Observation) -> Bool {
    guard observation.rank != ownRank else { return false }
    guard let heartbeat = observation.heartbeat, observation.isBeating else { return true }
    return heartbeat.callCount < own.callCount
  }

  /// One sentence that names the missing ranks, then a line for each group of ranks that are in the same place.
  var text: String {
    let missing = observations.filter(isMissing)
    let names = missing.map { "\($0.rank)" + ($0.heartbeat.map { " (\($0.host))" } ?? "") }
    let subject =
      missing.isEmpty
      ? "every rank is there, so the network does not deliver"
      : (missing.count == 1 ? "rank " : "ranks ") + names.joined(separator: ", ")
        + (missing.count == 1 ? " is missing" : " are missing")
    var groups: [(place: String, ranks: [Int])] = []
    for observation in observations {
      let place = place(of: observation)
      if let index = groups.firstIndex(where: { $0.place == place }) {
        groups[index].ranks.append(observation.rank)
      } else {
        groups.append((place, [observation.rank]))
      }
    }
    let lines = groups.map { "  \($0.ranks.count == 1 ? "rank" : "ranks") \(rankList($0.ranks)): \($0.place)" }
    return "step \(own.step + 1): \(subject): \(own.operation ?? "an operation") has waited longer than "
      + "run.faults.stallSeconds (\(limit) s). The job ends; start again to resume. Where every rank last was:\n"
      + lines.joined(separator: "\n")
  }

  private func place(of observation: Observation) -> String {
    guard let heartbeat = observation.heartbeat else { return "has never written a heartbeat" }
    let place = "\(heartbeat.host), after step \(heartbeat.step), \(heartbeat.activity)"
    if observation.rank != ownRank && !observation.isBeating {
      return place + "; silent since \(heartbeat.time) (its clock): stopped, or its host is gone"
    }
    return place + (heartbeat.operation.map { ", waiting in \($0)" } ?? "; at work, not in a collective operation")
  }
}

/// `0–3, 7`: ascending ranks in few characters.
func rankList(_ ranks: [Int]) -> String {
  var runs: [ClosedRange<Int>] = []
  for rank in ranks {
    if let last = runs.last, rank == last.upperBound + 1 {
      runs[runs.count - 1] = last.lowerBound...rank
    } else {
      runs.append(rank...rank)
    }
  }
  return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound)" }.joined(separator: ", ")
}
