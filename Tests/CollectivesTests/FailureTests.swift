import Collectives
import Testing

private struct Unreadable: ExitStatusError, CustomStringConvertible {
  let exitStatus: Int32
  let description: String
}

/// What a rank caught, so that a test can compare it.
private func caught(_ body: () throws -> Void) -> (any Error)? {
  do {
    try body()
    return nil
  } catch { return error }
}

@Suite(.timeLimit(.minutes(10)))
struct FailureTests {
  @Test func aThrownErrorReleasesTheRanksThatWait() {
    let error = caught {
      _ = try LoopbackWorld.run(worldSize: 3) { communicator in
        if communicator.rank == 1 { throw Unreadable(exitStatus: 65, description: "no such image") }
        try communicator.barrier()
      }
    }
    #expect(error is Unreadable)
  }

  @Test func aRankThatReturnsEarlyReleasesTheRanksThatWait() {
    let error = caught {
      _ = try LoopbackWorld.run(worldSize: 3) { communicator in
        if communicator.rank != 1 { try communicator.barrier() }
      }
    }
    #expect((error as? CommunicationError)?.reason == "rank 1 has already returned")
  }

  @Test func operationsThatDoNotMatchAreNamed() {
    let error = caught {
      _ = try LoopbackWorld.run(worldSize: 2) { communicator in
        if communicator.rank == 0 {
          try communicator.barrier()
        } else {
          _ = try communicator.allReduce(Float(1), .sum)
        }
      }
    }
    #expect(
      (error as? CommunicationError)?.reason == "rank 0 called barrier where rank 1 called allReduce(1 × Float, .sum)")
  }

  @Test func theSequenceCheckNamesTheRanksThatDiffer() throws {
    let reasons = try LoopbackWorld.run(worldSize: 3) { base in
      let communicator = SequenceCheckedCommunicator(base)
      let sum = try communicator.allReduce(Float(2), .sum)
      #expect(sum == 6)
      let error = caught {
        _ = try communicator.allReduce(Float(1), communicator.rank == 1 ? .max : .sum)
      }
      // The ranks have found out before the operation, so they are still in step.
      try base.barrier()
      return (error as? CommunicationError)?.reason
    }
    let expected = "the ranks differ: allReduce(1 × Float, .sum) on rank 0, 2; allReduce(1 × Float, .max) on rank 1"
    for reason in reasons { #expect(reason == expected) }
  }

  @Test func ranksThatRunAheadDoNotConfuseTheOthers() throws {
    // A barrier lets the first rank that wakes leave its next note before the others have read this one.
    let sums = try LoopbackWorld.run(worldSize: 4) { communicator in
      try (0..<500).map { index in
        try communicator.barrier()
        return try communicator.allReduce(Int64(index), .sum)
      }
    }
    for sum in sums { #expect(sum == (0..<500).map { Int64($0 * 4) }) }
  }

  @Test func theSequenceCheckEndsAfterTheGivenNumberOfCalls() {
    let error = caught {
      _ = try LoopbackWorld.run(worldSize: 2) { base in
        let communicator = SequenceCheckedCommunicator(base, checkedCallCount: 1)
        try communicator.barrier()
        if communicator.rank == 0 { try communicator.barrier() } else { _ = try communicator.allGather(bytes: []) }
      }
    }
    // The loopback finds the difference, not the check.
    #expect((error as? CommunicationError)?.reason == "rank 0 called barrier where rank 1 called allGather(bytes:)")
  }

  @Test func aLocalErrorStopsAllRanksAlikeAndIsReportedOnce() throws {
    let failures = try LoopbackWorld.run(worldSize: 4, ranksPerNode: 2) { communicator in
      let error = caught {
        try communicator.collectively("reading the data") {
          guard communicator.rank < 2 else { throw Unreadable(exitStatus: 65, description: "a.jpg: truncated") }
        }
      }
      // The ranks are still in step.
      try communicator.barrier()
      return error as? PeerFailure
    }
    #expect((0..<4).filter { failures[$0]?.isReporter(rank: $0) == true } == [2])
    for failure in failures {
      #expect(failure?.exitStatus == 65)
      #expect(failure?.failures.map(\.rank) == [2, 3])
      #expect(failure?.description == "ranks 2, 3 (loopback1), reading the data: a.jpg: truncated")
    }
  }

  @Test func anErrorCommonToAllRanksIsItsMessageAlone() throws {
    let messages = try LoopbackWorld.run(worldSize: 2) { communicator in
      let error = caught {
        try communicator.collectively("reading the recipe") {
          throw Unreadable(exitStatus: 64, description: "tiny.yaml: no such key")
        }
      }
      return (error as? PeerFailure)?.description
    }
    #expect(messages == ["tiny.yaml: no such key", "tiny.yaml: no such key"])
  }

  @Test func aStepThatSucceedsEverywhereReturnsItsValue() throws {
    let values = try LoopbackWorld.run(worldSize: 3) { communicator in
      try communicator.collectively("counting") { communicator.rank * 2 }
    }
    #expect(values == [0, 2, 4])
  }
}
