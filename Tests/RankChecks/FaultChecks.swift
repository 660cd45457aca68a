import Collectives
import Foundation
import MPI

private struct Misfortune: ExitStatusError, CustomStringConvertible {
  let exitStatus: Int32
  let description: String
}

/// One rank throws what the others know nothing of, while they wait for it: `throw RANK`.
func throwOnOneRank(_ communicator: any Communicator, _ arguments: [String]) throws {
  if arguments.first == "\(communicator.rank)" {
    throw Misfortune(exitStatus: 65, description: "the disk is on fire")
  }
  while true { _ = try communicator.allReduce(Float(1), .sum) }
}

/// One rank fails in a step that all ranks take together: `agree RANK`.
func failCollectivelyOnOneRank(_ communicator: any Communicator, _ arguments: [String]) throws {
  try communicator.collectively("reading the data") {
    if arguments.first == "\(communicator.rank)" {
      throw Misfortune(exitStatus: 65, description: "the disk is on fire")
    }
  }
}

/// One rank takes another path than the others: `differ RANK`.
func callDifferentOperations(_ communicator: any Communicator, _ arguments: [String]) throws {
  let checked = SequenceCheckedCommunicator(communicator)
  _ = try checked.allReduce(Float(1), .sum)
  if arguments.first == "\(communicator.rank)" {
    try checked.barrier()
  } else {
    _ = try checked.allReduce(Float(1), .sum)
  }
}

/// Prints each rank's process identifier and then reduces until it is killed: `wait`.
func waitForever(_ communicator: any Communicator, _ arguments: [String]) throws {
  let identifiers = try communicator.allGather(Int64(ProcessInfo.processInfo.processIdentifier))
  if communicator.isFirst {
    print("pids: \(identifiers.map { "\($0)" }.joined(separator: " "))")
    fflush(nil)
  }
  while true { _ = try communicator.allReduce(Float(1), .sum) }
}
