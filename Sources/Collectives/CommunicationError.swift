/// An error that knows with which status the process should exit when it ends the job.
public protocol ExitStatusError: Error {
  /// The exit status in the manner of `sysexits.h`, for example 64 for a wrong recipe, 65 for unreadable data.
  var exitStatus: Int32 { get }
}

/// An error that all ranks throw alike and at the same place, so that they are still in step and can leave in order.
///
/// Print it on the rank where `isReporter` is true, and nowhere else: the user then reads it once.
public protocol AgreedError: ExitStatusError {
  /// True for exactly one rank; rank 0 unless the error says otherwise.
  func isReporter(rank: Int) -> Bool
}

extension AgreedError {
  /// Rank 0 reports.
  public func isReporter(rank: Int) -> Bool { rank == 0 }
}

/// A collective operation that could not be completed, usually because a peer or the network is gone.
///
/// After one of these the ranks are no longer in step: end the job (`Communicator.abort`) and start again from the
/// last checkpoint.
public struct CommunicationError: ExitStatusError, Sendable, Equatable, CustomStringConvertible {
  /// The operation that failed, for example `allReduce`.
  public let operation: String
  /// The rank on which it failed (the one that reports, not necessarily the one to blame).
  public let rank: Int
  /// What went wrong, naming the peer where it is known.
  public let reason: String
  /// The error code of the message-passing library, 0 where there is none.
  public let code: Int32

  /// Describes a failed operation.
  public init(operation: String, rank: Int, reason: String, code: Int32 = 0) {
    self.operation = operation
    self.rank = rank
    self.reason = reason
    self.code = code
  }

  /// 75 (`EX_TEMPFAIL`): a new start of the job is sensible.
  public var exitStatus: Int32 { 75 }

  /// The rank, the operation, the reason and the code, in one line.
  public var description: String {
    "rank \(rank): \(operation) failed: \(reason)" + (code == 0 ? "" : " (code \(code))")
  }
}
