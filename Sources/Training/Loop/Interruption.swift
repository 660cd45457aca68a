import Collectives
import Foundation
import Synchronization

/// Signals that ask a job to end soon: SIGTERM (preemption), SIGUSR1 (a batch system's warning), SIGINT.
///
/// A handler only takes note; at step boundaries, between the batches of a validation and while the run starts, all
/// ranks ask and agree on the answer.
public final class Interruption: Sendable {
  private static let pending = Atomic<Int32>(0)

  /// An interruption that no signal causes yet.
  public init() {}

  /// Starts listening, in the whole process.
  public func listen() {
    let signals = [SIGTERM, SIGUSR1, SIGINT]
    for number in signals { signal(number) { Interruption.pending.store($0, ordering: .relaxed) } }
    unblock(signals)
  }

  /// The signal that this rank has received, or 0.
  var own: Int32 { Self.pending.load(ordering: .relaxed) }

  /// The signal that some rank has received, or nil; the same on every rank. Collective.
  func agreed(by communicator: any Communicator) throws(CommunicationError) -> Int32? {
    let signal = try communicator.allReduce(Int64(own), .max)
    return signal == 0 ? nil : Int32(signal)
  }

  /// Goes on unless some rank has received a signal. Collective.
  /// - Throws: `Interrupted`, on every rank alike.
  func check(_ communicator: any Communicator, during activity: String) throws {
    if let signal = try agreed(by: communicator) { throw Interrupted(signal: signal, activity: activity) }
  }
}

/// Lets signals through that whoever started this process may have left blocked.
func unblock(_ signals: [Int32]) {
  var set = sigset_t()
  sigemptyset(&set)
  for number in signals { sigaddset(&set, number) }
  pthread_sigmask(SIG_UNBLOCK, &set, nil)
}

/// A signal ended something early, in good order and on every rank alike.
struct Interrupted: AgreedError, CustomStringConvertible {
  let signal: Int32
  /// What was going on.
  let activity: String

  /// A new start is sensible.
  var exitStatus: Int32 { 75 }

  var description: String { "stopped by signal \(signal) while \(activity); start again" }
}
