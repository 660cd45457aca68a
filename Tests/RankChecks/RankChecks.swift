import Collectives
import Foundation
import MPI

/// Programs that `RankTests` starts under `mpirun`: `rank-checks NAME [argument…]`.
///
/// A check throws what it finds wrong; status 0 means that all ranks found everything right.
@main
enum RankChecks {
  typealias Check = @Sendable (any Communicator, [String]) throws -> Void

  static let checks: [String: Check] = [
    "all-reduce": timeAllReduce,
    "checkpoint": timeCheckpoint,
    "collectives": checkCollectives,
    "nodes": checkNodes,
    "throw": throwOnOneRank,
    "agree": failCollectivelyOnOneRank,
    "differ": callDifferentOperations,
    "wait": waitForever,
    "reshard": reshard,
    "shares": printShares,
    "train": trainTokenizer,
    "stall": loadFromStalledStorage,
    "open": openOnAllRanks,
    "order": showOrder,
  ]

  static func main() {
    let arguments = CommandLine.arguments.dropFirst()
    guard let name = arguments.first, let check = checks[name] else {
      print("usage: rank-checks \(checks.keys.sorted().joined(separator: "|")) [argument…]")
      exit(64)
    }
    let status = runJob(report: { FileHandle.standardError.write(Data(($0 + "\n").utf8)) }) { communicator in
      try check(communicator, Array(arguments.dropFirst()))
    }
    exit(status)
  }
}

/// What a check found wrong.
struct CheckFailure: Error, CustomStringConvertible {
  let description: String
}

/// Throws unless `condition` holds.
func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw CheckFailure(description: message()) }
}
