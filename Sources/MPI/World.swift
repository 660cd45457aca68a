import CMPI
import Collectives
import Foundation

/// How much memory the ranks of a node share for their collective operations, in bytes per communicator.
public let defaultWindowByteLimit = NodeWindowSize.defaultByteLimit

/// Whether a launcher (`mpirun`, or `srun` with PMI) started this process as one of several ranks.
public var isStartedByLauncher: Bool {
  let environment = ProcessInfo.processInfo.environment
  return ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"].contains { environment[$0] != nil }
}

/// Joins the job that this process belongs to; without a launcher, a job of one rank that never touches MPI.
///
/// Call it once, early, on the thread that will communicate.
///
/// - Parameter windowByteLimit: How much memory the ranks of a node share.
/// - Throws: `CommunicationError` if MPI cannot start or the shared memory cannot be had.
public func makeWorld(
  windowByteLimit: Int = defaultWindowByteLimit
) throws(CommunicationError) -> any Communicator {
  guard isStartedByLauncher else { return SingleCommunicator() }
  yieldWhenIdleIfOversubscribed()
  try check(cmpi_start(), "MPI_Init_thread", 0)
  return try MPICommunicator(cmpi_world(), ranksPerNode: nil, windowByteLimit: windowByteLimit)
}

/// Leaves the job in good order. Collective: after an error that only some ranks know, use `abort(status:)` instead.
public func leaveWorld(_ communicator: any Communicator) throws(CommunicationError) {
  guard let world = communicator as? MPICommunicator else { return }
  let rank = world.rank
  try world.free()
  try check(cmpi_finish(), "MPI_Finalize", rank)
}

/// Runs the main program of every rank and returns the status with which the process should exit.
///
/// The user reads each error once: an `AgreedError` is reported by the rank it elects, and the ranks leave in good
/// order with the same status. Any other error is known to this rank alone; it is reported here, with rank and host,
/// and ends all ranks at once.
///
/// - Parameters:
///   - report: What to do with the text of an error.
///   - body: The program of a rank.
public func runJob(report: (String) -> Void, _ body: (any Communicator) throws -> Void) -> Int32 {
  var joined: (any Communicator)?
  do {
    let communicator = try makeWorld()
    joined = communicator
    try body(communicator)
    try leaveWorld(communicator)
    return 0
  } catch {
    let status = (error as? any ExitStatusError)?.exitStatus ?? 1
    guard let communicator = joined, communicator.worldSize > 1 else {
      report("\(error)")
      return status
    }
    if let agreed = error as? any AgreedError {
      if agreed.isReporter(rank: communicator.rank) { report("\(error)") }
      // If the way out fails too, the status says so already.
      do { try leaveWorld(communicator) } catch { communicator.abort(status: status) }
      return status
    }
    report(error is CommunicationError ? "\(error)" : "rank \(communicator.rank) (\(communicator.hostName)): \(error)")
    communicator.abort(status: status)
  }
}

/// With more ranks than cores, Open MPI's own waiting must not keep the awaited rank from running.
private func yieldWhenIdleIfOversubscribed() {
  let localSize = ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_LOCAL_SIZE"].flatMap { Int($0) } ?? 1
  if localSize > Int(cmpi_online_core_count()) { setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0) }
}
