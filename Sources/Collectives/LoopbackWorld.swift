import Foundation

/// Runs the ranks of a job as threads of this process: the in-memory twin of a job under `mpirun`, for tests.
public enum LoopbackWorld {
  /// Runs `body` once per rank, each on a thread of its own, and returns the results by rank.
  ///
  /// - Parameters:
  ///   - worldSize: The number of ranks, 1 or more.
  ///   - ranksPerNode: How many consecutive ranks pretend to share a node; nil for all of them.
  ///   - stackSize: The size of each thread's stack in bytes.
  ///   - body: What a rank does with its communicator, which must not leave the thread.
  /// - Throws: The error of the lowest rank whose body threw of its own accord. The other ranks are not left waiting:
  ///   their next or pending operation throws a `CommunicationError` that names the first rank that failed.
  public static func run<Value: Sendable>(
    worldSize: Int, ranksPerNode: Int? = nil, stackSize: Int = 8 << 20,
    _ body: @escaping @Sendable (any Communicator) throws -> Value
  ) throws -> [Value] {
    require(worldSize > 0, "LoopbackWorld: a world of \(worldSize) ranks")
    let meeting = LoopbackMeeting(worldSize: worldSize)
    let outcomes = Outcomes<Value>(worldSize: worldSize)
    for rank in 0..<worldSize {
      let thread = Thread {
        let communicator = LoopbackCommunicator(
          rank: rank, meeting: meeting, ranksPerNode: ranksPerNode ?? worldSize)
        let outcome = Result { try body(communicator) }
        switch outcome {
        case .success: meeting.leave(rank: rank, reason: "rank \(rank) has already returned")
        case .failure(let error): meeting.leave(rank: rank, reason: "rank \(rank) failed: \(error)")
        }
        outcomes.set(outcome, for: rank)
      }
      thread.stackSize = stackSize
      thread.name = "rank \(rank)"
      thread.start()
    }
    return try outcomes.wait(preferredRank: { meeting.firstLeaver })
  }

  /// The results of all ranks, waited for by the thread that started them.
  private final class Outcomes<Value: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var results: [Result<Value, any Error>?]

    init(worldSize: Int) { results = Array(repeating: nil, count: worldSize) }

    func set(_ result: Result<Value, any Error>, for rank: Int) {
      condition.withLock {
        results[rank] = result
        condition.signal()
      }
    }

    func wait(preferredRank: () -> Int?) throws -> [Value] {
      let all = condition.withLock {
        while results.contains(where: { $0 == nil }) { condition.wait() }
        return results.compactMap { $0 }
      }
      // A CommunicationError is mostly the echo of the error that made another rank leave: prefer that one.
      for case .failure(let error) in all where !(error is CommunicationError) { throw error }
      if let rank = preferredRank() { _ = try all[rank].get() }
      return try all.map { try $0.get() }
    }
  }
}
