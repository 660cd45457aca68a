import Foundation

/// What `mergevq doctor` says: facts, and for each that is not as it should be, the remedy.
public struct Diagnosis: Sendable, Equatable {
  /// One line of the report.
  public struct Finding: Sendable, Equatable {
    /// How bad it is.
    public enum Verdict: Sendable, Equatable {
      /// As it should be.
      case fine
      /// Works, but slower than it could.
      case slow(remedy: String)
      /// Training would fail or be wrong.
      case broken(remedy: String)
    }

    /// What it is about.
    public var subject: String
    /// What was found.
    public var found: String
    /// How bad it is.
    public var verdict: Verdict

    init(_ subject: String, _ found: String, _ verdict: Verdict = .fine) {
      self.subject = subject
      self.found = found
      self.verdict = verdict
    }
  }

  /// The findings in the order they are told.
  public private(set) var findings: [Finding]

  /// False if training would fail or be wrong.
  public var isUsable: Bool {
    findings.allSatisfy { if case .broken = $0.verdict { false } else { true } }
  }

  /// Draws the conclusions.
  /// - Parameters:
  ///   - ranks: The facts of every rank, by rank; at least one.
  ///   - job: What the ranks found out together; nil where no launcher started this process.
  public init(ranks: [RankFacts], job: JobFacts?) {
    findings = []
    for (host, members) in hosts(of: ranks) {
      let name = hosts(of: ranks).count > 1 ? " (\(host))" : ""
      findings.append(Self.cpu(members, name))
      findings.append(Self.core(members, name))
      findings.append(Self.product(members, name))
      findings.append(Self.cores(members, name))
      findings.append(Self.memory(members, name))
    }
    if Set(ranks.map(\.vectorLevel)).count > 1 {
      findings.append(
        Finding(
          "CPUs", "of different levels: \(Set(ranks.map(\.vectorLevel)).sorted().joined(separator: ", "))",
          .slow(remedy: "every step waits for the slowest host; use hosts of one kind if there is a choice")))
    }
    findings += Self.communication(ranks, job)
    let codecTroubles = Set(ranks.compactMap(\.codecTrouble)).sorted()
    findings.append(
      codecTroubles.isEmpty
        ? Finding("image codecs", "PNG and JPEG survive a round trip")
        : Finding(
          "image codecs", codecTroubles.joined(separator: "; "),
          .broken(remedy: "install libpng and libjpeg-turbo anew: Launch/install")))
    let libraries = Set(ranks.flatMap(\.libraries)).sorted()
    findings.append(Finding("libraries", libraries.isEmpty ? "unknown" : libraries.joined(separator: ", ")))
  }

  /// The report as lines: `!` marks what is slow, `✘` what is broken.
  public var text: String {
    let width = findings.map(\.subject.count).max() ?? 0
    var lines: [String] = []
    for finding in findings {
      let subject = finding.subject + String(repeating: " ", count: width - finding.subject.count)
      switch finding.verdict {
      case .fine: lines.append("  \(subject)  \(finding.found)")
      case .slow(let remedy): lines += ["! \(subject)  \(finding.found)", "  \(indent(width))  → \(remedy)"]
      case .broken(let remedy): lines += ["✘ \(subject)  \(finding.found)", "  \(indent(width))  → \(remedy)"]
      }
    }
    let troubles = findings.filter { $0.verdict != .fine }.count
    lines.append(
      troubles == 0 ? "All is as it should be." : "\(troubles) of \(findings.count) findings need attention.")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func cpu(_ ranks: [RankFacts], _ name: String) -> Finding {
    let facts = ranks[0]
    let verdict: Finding.Verdict =
      facts.vectorLevel == "baseline"
      ? .slow(remedy: "this CPU (or virtual machine) shows no AVX2; expect a tenth of the speed") : .fine
    return Finding("CPU\(name)", "\(facts.cpuModel), vector level \(facts.vectorLevel)", verdict)
  }

  private static func core(_ ranks: [RankFacts], _ name: String) -> Finding {
    let facts = ranks[0]
    let found =
      facts.coreBefore == facts.coreAfter
      ? "OpenBLAS core type \(facts.coreAfter), its own choice"
      : "OpenBLAS core type \(facts.coreAfter), corrected from \(facts.coreBefore)"
    guard let suitable = facts.suitableCore, !isAtLeast(facts.coreAfter, suitable) else {
      return Finding("BLAS\(name)", found)
    }
    let remedy =
      facts.isCoreForced
      ? "OPENBLAS_CORETYPE is set and rules; unset it, or set it to \(suitable)"
      : "this CPU can run \(suitable), several times faster: set OPENBLAS_CORETYPE=\(suitable)"
    return Finding("BLAS\(name)", found, .slow(remedy: remedy))
  }

  /// Whether a core type is the suitable one or one that OpenBLAS introduced for newer CPUs.
  private static func isAtLeast(_ core: String, _ suitable: String) -> Bool {
    let newest = ["skylakex", "cooperlake", "sapphirerapids"]
    return (suitable.lowercased() == "skylakex" ? newest : newest + ["haswell", "zen"]).contains(core.lowercased())
  }

  private static func product(_ ranks: [RankFacts], _ name: String) -> Finding {
    let slowest = ranks.map(\.singleThreadGFLOPS).min() ?? 0
    let total = ranks.map(\.gflops).reduce(0, +)
    let expected = ranks[0].vectorLevel == "x86-64-v4" ? 60.0 : ranks[0].vectorLevel == "x86-64-v3" ? 30 : 5
    return Finding(
      "sgemm 1024³\(name)",
      "\(rounded(slowest)) GFLOPS on one thread\(ranks.count > 1 ? " of the slowest rank" : ""), "
        + "\(rounded(total)) on all of the host's ranks",
      slowest < expected
        ? .slow(remedy: "at least \(rounded(expected)) is usual at this level: is the host shared, busy or throttled?")
        : .fine)
  }

  private static func cores(_ ranks: [RankFacts], _ name: String) -> Finding {
    let threads = ranks.map(\.threadCount).reduce(0, +)
    let used = Set(ranks.flatMap(\.cpus))
    let online = ranks[0].onlineCPUCount
    let found =
      "\(counted(ranks.count, "rank")) × \(counted(ranks[0].threadCount, "thread")) on CPUs \(ranges(used.sorted())) "
      + "of \(online)"
    if threads > used.count {
      return Finding(
        "threads\(name)", found,
        .slow(
          remedy: "\(threads) threads share \(used.count) CPUs, and waiting threads take time from working ones: bind "
            + "ranks (mpirun --map-by core --bind-to core), start fewer, or set run.threads"))
    }
    if used.count < online {
      return Finding(
        "threads\(name)", found,
        .slow(
          remedy: "\(online - used.count) CPUs stay idle: start more ranks, or give each more CPUs "
            + "(mpirun --map-by slot:PE=\(max(1, online / ranks.count)))"))
    }
    return Finding("threads\(name)", found)
  }

  private static func memory(_ ranks: [RankFacts], _ name: String) -> Finding {
    let available = ranks.compactMap(\.availableMemory).min()
    let shared = ranks.compactMap(\.sharedMemory).min()
    let found =
      (available.map { "\(gibibytes($0)) available" } ?? "unknown")
      + (shared.map { ", \(gibibytes($0)) to share between ranks" } ?? ", none to share between ranks")
    // 16 MiB a communicator and rank, twice for the overlap thread, and Open MPI's own queues.
    let needed = ranks.count * 64 << 20
    guard ranks.count > 1, shared ?? 0 < needed else { return Finding("memory\(name)", found) }
    return Finding(
      "memory\(name)", found,
      .broken(remedy: "/dev/shm needs at least \(gibibytes(needed)); in a container start it with --shm-size"))
  }

  private static func communication(_ ranks: [RankFacts], _ job: JobFacts?) -> [Finding] {
    guard let job else {
      return [
        Finding("ranks", "one, not started by mpirun; `mpirun -n 2 mergevq doctor` checks communication")
      ]
    }
    let hostCount = Set(ranks.map(\.host)).count
    var findings = [
      Finding("ranks", "\(ranks.count) on \(counted(hostCount, "host")), \(job.libraryVersion)"),
      Finding(
        "all-reduce", job.allReduceIsCorrect ? "gives the right sums" : "gives WRONG sums",
        job.allReduceIsCorrect
          ? .fine
          : .broken(remedy: "do not train on this; try other hosts, or another transport (mpirun --mca btl tcp,self)")),
    ]
    findings += job.transferSpeeds.map { speed in
      let library = speed.librarySeconds.map { ", \(rounded($0 / speed.seconds)) times as fast as MPI's own" } ?? ""
      return Finding(
        "  \(megabytes(speed.byteCount))",
        "\(rounded(speed.seconds * 1000)) ms, \(rounded(Double(speed.byteCount) / speed.seconds / 1e9)) GB/s\(library)")
    }
    return findings
  }
}

/// Ranks by host, in the order of their lowest ranks.
private func hosts(of ranks: [RankFacts]) -> [(host: String, ranks: [RankFacts])] {
  Dictionary(grouping: ranks, by: \.host).map { ($0.key, $0.value.sorted { $0.rank < $1.rank }) }
    .sorted { $0.1[0].rank < $1.1[0].rank }
}

/// `0-3,8` for `[0, 1, 2, 3, 8]`.
func ranges(_ cpus: [Int]) -> String {
  var parts: [ClosedRange<Int>] = []
  for cpu in cpus {
    if let last = parts.last, last.upperBound + 1 == cpu {
      parts[parts.count - 1] = last.lowerBound...cpu
    } else {
      parts.append(cpu...cpu)
    }
  }
  return parts.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
}

private func indent(_ width: Int) -> String { String(repeating: " ", count: width) }
private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
private func gibibytes(_ count: Int) -> String { String(format: "%.1f GiB", Double(count) / 1_073_741_824) }
private func megabytes(_ count: Int) -> String { String(format: "%.3g MB", Double(count) / 1e6) }
private func rounded(_ value: Double) -> String { String(format: value < 10 ? "%.2f" : "%.0f", value) }
