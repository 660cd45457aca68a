import Collectives
import Testing

struct TracedCommunicatorTests {
  @Test func everyOperationIsCountedAndTimed() throws {
    let positions = try LoopbackWorld.run(worldSize: 2) { base in
      let trace = CommunicationTrace()
      let communicator = TracedCommunicator(base, trace: trace)
      _ = try communicator.allReduce(Float(1), .sum)
      _ = try communicator.allGather("text")
      _ = try communicator.broadcast(Int64(3), from: 1)
      try communicator.barrier()
      return trace.position
    }
    for position in positions {
      #expect(position.callCount == 4)
      #expect(position.operation == nil)
      #expect(position.waited > .zero)
    }
  }

  @Test func anOtherThreadSeesTheOperationThatWaits() throws {
    let traces = [CommunicationTrace(), CommunicationTrace()]
    let seen = try LoopbackWorld.run(worldSize: 2) { base in
      let communicator = TracedCommunicator(base, trace: traces[base.rank])
      var operation: String?
      if base.rank == 1 {
        // Rank 0 can only be found waiting, since this rank has not come yet.
        while traces[0].position.operation == nil {}
        operation = traces[0].position.operation
      }
      var values = [Float](repeating: 0, count: 3)
      try communicator.allReduce(&values, .sum)
      return operation
    }
    #expect(seen[1] == "allReduce of 3 values")
  }
}
