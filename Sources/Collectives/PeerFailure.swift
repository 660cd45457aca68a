/// What all ranks throw alike when a local step failed on at least one of them (see `Communicator.collectively`).
///
public struct PeerFailure: AgreedError, Sendable, Equatable, CustomStringConvertible {
  /// How the step failed on one rank.
  public struct Failure: Sendable, Equatable {
    /// The rank on which the step failed.
    public let rank: Int
    /// The host of that rank.
    public let hostName: String
    /// The error's own description.
    public let message: String
    /// The exit status that the error asks for; 1 if it asks for none.
    public let exitStatus: Int32
  }

  /// What the ranks were doing, for example `reading the training data`.
  public let activity: String
  /// Every failure, by ascending rank; never empty, and the same on all ranks.
  public let failures: [Failure]
  /// How many ranks the job has.
  public let worldSize: Int

  /// The exit status that the lowest failing rank asks for, so that all ranks end with the same one.
  public var exitStatus: Int32 { failures[0].exitStatus }

  /// The lowest rank that has the cause reports it.
  public func isReporter(rank: Int) -> Bool { rank == failures[0].rank }

  /// One line per distinct message, each with the ranks and hosts on which it arose.
  public var description: String {
    var messages: [String] = []
    for failure in failures where !messages.contains(failure.message) { messages.append(failure.message) }
    // Where nothing but the message matters, because all ranks failed in the same way, it stands alone.
    if messages.count == 1 && failures.count == worldSize { return messages[0] }
    return messages.map { message in
      let group = failures.filter { $0.message == message }
      let ranks = group.map { "\($0.rank)" }.joined(separator: ", ")
      let hosts = Set(group.map(\.hostName)).sorted().joined(separator: ", ")
      return "\(group.count == 1 ? "rank" : "ranks") \(ranks) (\(hosts)), \(activity): \(message)"
    }.joined(separator: "\n")
  }
}

extension Communicator {
  /// Runs a local step on every rank and returns its result only if it succeeded on all of them. Collective.
  ///
  /// The outcomes are exchanged, so an error on one rank stops all ranks at the same place instead of leaving the
  /// others waiting in their next collective operation.
  ///
  /// - Parameters:
  ///   - activity: What the step does, as a phrase for the message: `reading the training data`.
  ///   - body: The step. It must not communicate: an error between two of its collective operations would leave the
  ///     other ranks in the second.
  /// - Throws: `PeerFailure` on every rank alike, if the step threw on any; `CommunicationError` if the outcomes could
  ///   not be exchanged.
  public func collectively<Value>(_ activity: String, _ body: () throws -> Value) throws -> Value {
    let outcome = Result(catching: body)
    var report: [UInt8] = []
    if case .failure(let error) = outcome {
      let status = (error as? any ExitStatusError)?.exitStatus ?? 1
      report = withUnsafeBytes(of: status.littleEndian) { Array($0) } + Array("\(hostName)\n\(error)".utf8)
    }
    let reports = try allGather(bytes: report)
    let failures = reports.enumerated().compactMap { PeerFailure.Failure(rank: $0.offset, report: $0.element) }
    guard !failures.isEmpty else { return try outcome.get() }
    throw PeerFailure(activity: activity, failures: failures, worldSize: worldSize)
  }
}

extension PeerFailure.Failure {
  /// Reads a report (status as 4 bytes, host name, line feed, message); nil if it is empty: the rank succeeded.
  fileprivate init?(rank: Int, report: [UInt8]) {
    guard report.count >= 4 else { return nil }
    let status = report[..<4].enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (8 * UInt32($1.offset)) }
    let text = report[4...].split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
    self.rank = rank
    hostName = text.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    message = text.dropFirst().first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    exitStatus = Int32(bitPattern: status)
  }
}
