import Collectives
import Foundation
import MPI

/// The value that a rank contributes at an index: sums of these depend on their order in the last bits.
private func contribution(_ rank: Int, _ index: Int) -> Float {
  Float((rank &* 7919 &+ index &* 104_729) % 65_537) / 65_537 - 0.3
}

/// Checks every operation against values computed on one rank, for sizes from nothing to several windows full.
func checkCollectives(_ communicator: any Communicator, _ arguments: [String]) throws {
  let worldSize = arguments.first.flatMap { Int($0) } ?? communicator.worldSize
  try expect(communicator.worldSize == worldSize, "\(communicator.worldSize) ranks instead of \(worldSize)")
  try expect(communicator.localSize == worldSize, "\(communicator.localSize) of \(worldSize) ranks on this node")
  // The last is more than any window holds at once, and odd.
  for count in [0, 1, 2, 3, 17, 1000, 40_001, 1_500_007] {
    try checkReductions(communicator, count: count, nodeSize: worldSize)
  }
  try checkBytes(communicator)
  try checkManySmallCalls(communicator)
  try expect(try allReduceIsCorrect(on: communicator, count: 12_345), "allReduceIsCorrect finds an error")
  try checkDuplicate(communicator)
}

/// The same with nodes of different sizes, which one machine pretends to be.
func checkNodes(_ communicator: any Communicator, _ arguments: [String]) throws {
  guard let nodeSize = arguments.first.flatMap({ Int($0) }) else {
    throw CheckFailure(description: "usage: rank-checks nodes RANKS_PER_NODE")
  }
  guard let world = communicator as? MPICommunicator else { throw CheckFailure(description: "needs mpirun") }
  // A small window, so that many pieces pass through it.
  let divided = try world.divided(ranksPerNode: nodeSize, windowByteLimit: 1 << 20)
  let expectedCount = (world.worldSize + nodeSize - 1) / nodeSize
  try expect(divided.nodeCount == expectedCount, "\(divided.nodeCount) nodes instead of \(expectedCount)")
  for count in [0, 1, 17, 40_001, 600_007] { try checkReductions(divided, count: count, nodeSize: nodeSize) }
  try checkManySmallCalls(divided)
  try checkTraffic(divided)
  try checkRounded(divided)
}

/// Sums that travel as bfloat16: half the bytes, each node's contribution to half a unit in its eighth bit, the own
/// node's exactly.
private func checkRounded(_ communicator: MPICommunicator) throws {
  let (rank, worldSize) = (communicator.rank, communicator.worldSize)
  let count = 16 * worldSize * 999
  let ranges = ShardPlan(count: count, shardCount: worldSize).ranges
  var values = (0..<count).map { contribution(rank, $0) }
  let before = communicator.sentByteCount
  try values.withUnsafeMutableBufferPointer {
    try communicator.reduceScatter($0, ranges: ranges, .sum, format: .bfloat16)
  }
  let sent = try communicator.allReduce(Int64(communicator.sentByteCount - before), .sum)
  let expected = (communicator.nodeCount - 1) * count * 2
  try expect(sent == expected, "\(sent) bytes sent between nodes instead of \(expected)")
  var isRounded = false
  for index in ranges[rank] {
    let exact = (0..<worldSize).map { contribution($0, index) }.reduce(0, +)
    let size = (0..<worldSize).map { abs(contribution($0, index)) }.reduce(0, +)
    isRounded = isRounded || values[index] != exact
    try expect(
      abs(values[index] - exact) <= size / 256 + 1e-6, "rounded sum [\(index)] is \(values[index]), not \(exact)")
  }
  try expect(isRounded == (communicator.nodeCount > 1), "rounding seen: \(isRounded)")
  var special: [Float] = [.nan, .infinity, -.infinity, 0, -1.5] + Array(repeating: 1, count: 16 * worldSize)
  let end = special.count
  let shares = (0..<worldSize).map { $0 == 0 ? 0..<end : end..<end }
  try special.withUnsafeMutableBufferPointer {
    try communicator.reduceScatter($0, ranges: shares, .sum, format: .bfloat16)
  }
  if rank == 0 {
    try expect(special[0].isNaN && special[1] == .infinity && special[2] == -.infinity, "special: \(special.prefix(5))")
    try expect(special[3] == 0 && special[4] == -1.5 * Float(worldSize), "special: \(special.prefix(5))")
  }
}

/// Between nodes an all-reduce must send no more than a reduce-scatter and an all-gather of the nodes need.
private func checkTraffic(_ communicator: MPICommunicator) throws {
  let count = 100_003
  var values = [Float](repeating: 1, count: count)
  let before = communicator.sentByteCount
  try communicator.allReduce(&values, .mean)
  let sent = try communicator.allReduce(Int64(communicator.sentByteCount - before), .sum)
  let minimum = 2 * (communicator.nodeCount - 1) * count * MemoryLayout<Float>.stride
  try expect(sent == minimum, "\(sent) bytes sent between nodes instead of \(minimum)")
}

/// Calls of all kinds in close succession, with ranks that are late in turn: none may see the memory of another call.
private func checkManySmallCalls(_ communicator: any Communicator) throws {
  let (rank, worldSize) = (communicator.rank, communicator.worldSize)
  for round in 0..<100 {
    if round % worldSize == rank { usleep(200) }
    let gathered = try communicator.allGather(Int64(round * 100 + rank))
    try compare(gathered, (0..<worldSize).map { Int64(round * 100 + $0) }, "round \(round): allGather")
    let again = try communicator.allGather(Double(round * 100 - rank))
    try compare(again, (0..<worldSize).map { Double(round * 100 - $0) }, "round \(round): second allGather")
    var values = (0..<worldSize).map { Float($0 + round) }
    let ranges = (0..<worldSize).map { $0..<$0 + 1 }
    try values.withUnsafeMutableBufferPointer { try communicator.reduceScatter($0, ranges: ranges, .mean) }
    try expect(values[rank] == Float(rank + round), "round \(round): reduceScatter gave \(values[rank])")
    let largest = try communicator.allReduce(Int64(rank + round), .max)
    try expect(largest == Int64(worldSize - 1 + round), "round \(round): allReduce gave \(largest)")
  }
}

/// Reductions, scatters and gathers of `count` elements.
private func checkReductions(_ communicator: any Communicator, count: Int, nodeSize: Int) throws {
  let (rank, worldSize) = (communicator.rank, communicator.worldSize)
  let own = (0..<count).map { contribution(rank, $0) }
  let all = (0..<worldSize).map { rank in (0..<count).map { contribution(rank, $0) } }
  // The documented order: the ranks of a node, then the nodes.
  let sums = (0..<count).map { index in
    let nodeSums = stride(from: 0, to: worldSize, by: nodeSize).map { first in
      (first + 1..<min(first + nodeSize, worldSize)).reduce(all[first][index]) { $0 + all[$1][index] }
    }
    return nodeSums.dropFirst().reduce(nodeSums[0], +)
  }
  for reduction in [Reduction.sum, .mean, .max, .min] {
    var values = own
    try communicator.allReduce(&values, reduction)
    let expected: [Float] =
      switch reduction {
      case .sum: sums
      case .mean: sums.map { $0 / Float(worldSize) }
      case .max: (0..<count).map { index in all.map { $0[index] }.max() ?? 0 }
      case .min: (0..<count).map { index in all.map { $0[index] }.min() ?? 0 }
      }
    try compare(values, expected, "allReduce .\(reduction)")
    var again = own
    try communicator.allReduce(&again, reduction)
    try compare(again, values, "repeated allReduce .\(reduction)")
  }

  for ranges in shares(of: count, worldSize: worldSize) {
    var values = own
    try values.withUnsafeMutableBufferPointer { try communicator.reduceScatter($0, ranges: ranges, .sum) }
    try compare(Array(values[ranges[rank]]), Array(sums[ranges[rank]]), "reduceScatter \(ranges)")
    try values.withUnsafeMutableBufferPointer { try communicator.allGather($0, ranges: ranges) }
    for range in ranges { try compare(Array(values[range]), Array(sums[range]), "allGather \(ranges)") }
  }

  var integers = (0..<count).map { Int64($0) << 33 + Int64(rank) }
  try communicator.allReduce(&integers, .sum)
  let rankSum = Int64(worldSize * (worldSize - 1) / 2)
  try compare(integers, (0..<count).map { Int64($0) << 33 * Int64(worldSize) + rankSum }, "allReduce of integers")
  var doubles = (0..<count).map { Double($0) / Double(rank + 1) }
  try communicator.allReduce(&doubles, .max)
  try compare(doubles, (0..<count).map { Double($0) }, "allReduce of doubles")
}

/// Even shares, everything on the last rank, and shares with gaps and empty ones between.
private func shares(of count: Int, worldSize: Int) -> [[Range<Int>]] {
  let single = (0..<worldSize).map { $0 == worldSize - 1 ? 0..<count : 0..<0 }
  let gaps = ShardPlan(count: count, shardCount: worldSize, alignment: 1).ranges.enumerated().map { rank, range in
    rank % 2 == 1 ? range.lowerBound..<range.lowerBound : range.lowerBound + range.count / 3..<range.upperBound
  }
  return [ShardPlan(count: count, shardCount: worldSize).ranges, single, gaps]
}

private func checkBytes(_ communicator: any Communicator) throws {
  let worldSize = communicator.worldSize
  let texts = try communicator.allGather(String(repeating: "x", count: communicator.rank * 1000))
  try compare(texts.map(\.count), (0..<worldSize).map { $0 * 1000 }, "lengths of gathered bytes")
  for root in 0..<worldSize {
    let text = try communicator.broadcast(communicator.rank == root ? "from \(root)" : "", from: root)
    try expect(text == "from \(root)", "broadcast from \(root) gave '\(text)'")
  }
  try expect(try communicator.broadcast([UInt8]()).isEmpty, "broadcast of nothing gave something")
  try communicator.barrier()
}

/// A second thread reduces over its own communicator while the first one does.
private func checkDuplicate(_ communicator: any Communicator) throws {
  let other = try communicator.duplicate()
  let outcome = Outcome()
  // The communicator goes to the thread and stays there.
  nonisolated(unsafe) let handedOver = other
  let thread = Thread {
    outcome.set(Result { try (0..<200).map { try handedOver.allReduce(Int64($0), .sum) } })
  }
  thread.start()
  let here = try (0..<200).map { try communicator.allReduce(Double($0), .mean) }
  let there = try outcome.wait().get()
  try compare(here, (0..<200).map { Double($0) }, "allReduce beside a duplicate")
  try compare(there, (0..<200).map { Int64($0 * communicator.worldSize) }, "allReduce on a duplicate")
}

/// The result of another thread.
private final class Outcome: @unchecked Sendable {
  private let condition = NSCondition()
  private var result: Result<[Int64], any Error>?

  func set(_ result: Result<[Int64], any Error>) {
    condition.withLock {
      self.result = result
      condition.signal()
    }
  }

  func wait() -> Result<[Int64], any Error> {
    condition.withLock {
      while true {
        if let result { return result }
        condition.wait()
      }
    }
  }
}

private func compare<Element: Equatable>(_ found: [Element], _ expected: [Element], _ what: String) throws {
  try expect(found.count == expected.count, "\(what): \(found.count) elements instead of \(expected.count)")
  if let index = found.indices.first(where: { found[$0] != expected[$0] }) {
    throw CheckFailure(
      description: "\(what), \(found.count) elements: [\(index)] is \(found[index]) instead of \(expected[index])")
  }
}
