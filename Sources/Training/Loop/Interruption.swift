import Collectives
import Foundation
import Synchronization

/// Signals that ask a job to end soon: SIGTERM (preemption), SIGUSR1 (a batch system's warning), SIGINT.
///
/// A handler only takes note; the loop asks at step boundaries, where all ranks agree on the answer.
public final class Interruption: Sendable {
  private static let pending = Atomic<Int32>(0)

  /// An interruption that no signal causes yet.
  public init() {}

  /// Starts listening, in the whole process.
  public func listen() {
    for number in [SIGTERM, SIGUSR1, SIGINT] {
      signal(number) { Interruption.pending.store($0, ordering: .relaxed) }
    }
  }

  /// The signal that some rank has received, or nil; the same on every rank. Collective.
  func agreed(by communicator: any Communicator) throws -> Int32? {
    let own = Int64(Self.pending.load(ordering: .relaxed))
    let signal = try communicator.allReduce(own, .max)
    return signal == 0 ? nil : Int32(signal)
  }
}
