import ArgumentParser
import Collectives
import Foundation
import MPI
import Training

/// Runs a command on every rank of the job; an error is shown once, as `mergevq: …`, and sets the exit status.
func runCommand(_ body: (any Communicator) throws -> Void) throws {
  let status = runJob(report: { Console.writeError("mergevq: \($0)\n") }, body)
  if status != 0 { throw ExitCode(status) }
}

/// Whether this process is the one of its launch that speaks before the ranks know each other.
var isFirstOfLaunch: Bool {
  let environment = ProcessInfo.processInfo.environment
  let rank = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"].compactMap { environment[$0] }.first
  return rank == nil || rank == "0"
}
