import Collectives
import Foundation
import Testing

/// The value that rank `rank` contributes at `index`: not exactly representable, so that the order of a sum shows.
private func contribution(_ rank: Int, _ index: Int) -> Float {
  Float(sin(Double(1 + rank * 7919 + index * 31)))
}

private func contributions(_ rank: Int, count: Int) -> [Float] { (0..<count).map { contribution(rank, $0) } }

@Suite(.timeLimit(.minutes(10)))
struct LoopbackTests {
  @Test(arguments: [1, 2, 3, 4], [0, 1, 17, 1000])
  func allReduceSumsInTheOrderOfRanks(worldSize: Int, count: Int) throws {
    let results = try LoopbackWorld.run(worldSize: worldSize) { communicator in
      var values = contributions(communicator.rank, count: count)
      try communicator.allReduce(&values, .sum)
      return values
    }
    let expected = (0..<count).map { index in
      (1..<worldSize).reduce(contribution(0, index)) { $0 + contribution($1, index) }
    }
    for result in results { #expect(result == expected) }
  }

  @Test func everyReductionCombinesEveryElementType() throws {
    let results = try LoopbackWorld.run(worldSize: 3) { communicator in
      let rank = communicator.rank
      return (
        try communicator.allReduce(Float(rank + 1), .mean), try communicator.allReduce(Double(rank) - 5, .max),
        try communicator.allReduce(Int64(1) << 40 + Int64(rank), .min), try communicator.allReduce(Int64(rank), .sum)
      )
    }
    for result in results { #expect(result == (2, -3, 1 << 40, 3)) }
  }

  @Test(arguments: [Reduction.sum, .mean, .max, .min], [0, 1, 2])
  func aNaNOnOneRankReachesAll(reduction: Reduction, culprit: Int) throws {
    let results = try LoopbackWorld.run(worldSize: 3) { communicator in
      var values = [Float](repeating: 1, count: 35)
      // One position inside a vector, one in the remainder.
      if communicator.rank == culprit { (values[3], values[34]) = (.nan, .nan) }
      try communicator.allReduce(&values, reduction)
      return values
    }
    for values in results { #expect(values.indices.filter { values[$0].isNaN } == [3, 34]) }
  }

  @Test(arguments: [
    [0..<3, 3..<3, 3..<10], [0..<0, 0..<10, 10..<10], [1..<4, 5..<6, 6..<9], [0..<0, 0..<0, 0..<0],
  ])
  func reduceScatterThenAllGatherEqualsAllReduce(ranges: [Range<Int>]) throws {
    let results = try LoopbackWorld.run(worldSize: 3) { communicator in
      var values = contributions(communicator.rank, count: 10)
      var whole = values
      try communicator.allReduce(&whole, .sum)
      let own = ranges[communicator.rank]
      try values.withUnsafeMutableBufferPointer { try communicator.reduceScatter($0, ranges: ranges, .sum) }
      #expect(Array(values[own]) == Array(whole[own]))
      try values.withUnsafeMutableBufferPointer { try communicator.allGather($0, ranges: ranges) }
      return (values, whole)
    }
    for (values, whole) in results {
      for index in ranges.joined() { #expect(values[index] == whole[index]) }
    }
  }

  @Test func bytesOfDifferentLengthsAreGatheredAndBroadcast() throws {
    let results = try LoopbackWorld.run(worldSize: 3) { communicator in
      let texts = try communicator.allGather(String(repeating: "x", count: communicator.rank))
      let word = try communicator.broadcast(communicator.rank == 1 ? "tree" : "", from: 1)
      return (texts, word, try communicator.allGather(Int64(communicator.rank * 10)))
    }
    for result in results { #expect(result == (["", "x", "xx"], "tree", [0, 10, 20])) }
  }

  @Test func ranksAgree() throws {
    let results = try LoopbackWorld.run(worldSize: 3) { communicator in
      let isLast = communicator.rank == 2
      return [
        try communicator.agree(any: isLast), try communicator.agree(any: false),
        try communicator.agree(all: isLast), try communicator.agree(all: true),
      ]
    }
    for answers in results { #expect(answers == [true, false, false, true]) }
  }

  @Test func aDuplicateWorksBesideItsOriginal() throws {
    let results = try LoopbackWorld.run(worldSize: 2) { communicator in
      let other = try communicator.duplicate()
      // Opposite orders on the two communicators would block if they were one.
      return try (other.allReduce(Int64(communicator.rank), .sum), communicator.allReduce(Int64(1), .sum))
    }
    for result in results { #expect(result == (1, 2)) }
  }

  @Test func ranksOfANodeAreCounted() throws {
    let places = try LoopbackWorld.run(worldSize: 5, ranksPerNode: 2) {
      "\($0.hostName) \($0.localRank)/\($0.localSize)"
    }
    #expect(places == ["loopback0 0/2", "loopback0 1/2", "loopback1 0/2", "loopback1 1/2", "loopback2 0/1"])
  }
}
