import Foundation

/// One rank of a `LoopbackWorld`: the semantics of a real job, over the memory of one process.
///
/// Sums are taken in the order of ranks. Operations that do not match between ranks throw on all of them.
public final class LoopbackCommunicator: Communicator {
  /// This thread's number, in `0..<worldSize`.
  public let rank: Int
  /// How many threads the world has.
  public let worldSize: Int
  /// This rank's number on its pretended node.
  public let localRank: Int
  /// How many ranks share its pretended node.
  public let localSize: Int
  /// The name of the pretended node: `loopback0`, `loopback1`, …
  public let hostName: String

  private let meeting: LoopbackMeeting
  private let ranksPerNode: Int
  private var duplicateCount = 0

  init(rank: Int, meeting: LoopbackMeeting, ranksPerNode: Int) {
    require(ranksPerNode > 0, "LoopbackCommunicator: \(ranksPerNode) ranks per node")
    self.rank = rank
    self.meeting = meeting
    self.ranksPerNode = ranksPerNode
    worldSize = meeting.worldSize
    let node = rank / ranksPerNode
    localRank = rank % ranksPerNode
    localSize = min(ranksPerNode, worldSize - node * ranksPerNode)
    hostName = "loopback\(node)"
  }

  /// Replaces `values` on every rank by their reduction, taken in the order of ranks.
  public func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) throws(CommunicationError) {
    let peers = try exchange(values, Intent.allReduce(values, reduction), "allReduce")
    // This rank alone reads and writes its shard, in the arrays of all ranks.
    let shard = ShardPlan(count: values.count, shardCount: worldSize)[rank]
    let result = reduce(shard, of: peers, into: values, reduction)
    for peer in peers where peer.baseAddress != values.baseAddress { copy(shard, from: result, to: peer) }
    try meeting.synchronize(operation: "allReduce", rank: rank)
  }

  /// Replaces `values[ranges[rank]]` by its reduction, taken in the order of ranks. No message, so no format.
  public func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) throws(CommunicationError) {
    requireValid(ranges: ranges, elementCount: values.count, worldSize: worldSize, operation: "reduceScatter")
    let peers = try exchange(
      values, Intent.reduceScatter(values, ranges, reduction, format), "reduceScatter")
    _ = reduce(ranges[rank], of: peers, into: values, reduction)
    try meeting.synchronize(operation: "reduceScatter", rank: rank)
  }

  /// Fills `values[ranges[r]]` with what rank `r` holds there, for all `r`.
  public func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError) {
    requireValid(ranges: ranges, elementCount: values.count, worldSize: worldSize, operation: "allGather")
    let peers = try exchange(values, Intent.allGather(values, ranges), "allGather")
    for peer in peers where peer.baseAddress != values.baseAddress { copy(ranges[rank], from: values, to: peer) }
    try meeting.synchronize(operation: "allGather", rank: rank)
  }

  /// Returns the bytes of every rank, by rank.
  public func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] {
    var bytes = bytes
    return try bytes.withUnsafeMutableBufferPointer { (buffer) throws(CommunicationError) in
      let note = LoopbackMeeting.Note(
        intent: Intent.allGatherBytes, memory: UnsafeMutableRawPointer(buffer.baseAddress), byteCount: buffer.count)
      let notes = try meeting.exchange(note, operation: "allGather(bytes:)", rank: rank)
      let all = notes.map { Array(UnsafeRawBufferPointer(start: $0.memory, count: $0.byteCount)) }
      try meeting.synchronize(operation: "allGather(bytes:)", rank: rank)
      return all
    }
  }

  /// Overwrites `bytes` on every rank by those of rank `root`.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError) {
    require((0..<worldSize).contains(root), "broadcast: root \(root) in a world of \(worldSize)")
    let note = LoopbackMeeting.Note(
      intent: Intent.broadcast(bytes, root), memory: bytes.baseAddress, byteCount: bytes.count)
    let notes = try meeting.exchange(note, operation: "broadcast", rank: rank)
    if rank != root, let source = notes[root].memory, let target = bytes.baseAddress {
      target.copyMemory(from: source, byteCount: bytes.count)
    }
    try meeting.synchronize(operation: "broadcast", rank: rank)
  }

  /// Returns when every rank has called it.
  public func barrier() throws(CommunicationError) {
    _ = try meeting.exchange(
      LoopbackMeeting.Note(intent: Intent.barrier, memory: nil, byteCount: 0), operation: "barrier", rank: rank)
  }

  /// Makes an independent communicator of the same ranks, for one other thread each.
  public func duplicate() throws(CommunicationError) -> sending any Communicator {
    try barrier()
    defer { duplicateCount += 1 }
    return LoopbackCommunicator(rank: rank, meeting: meeting.duplicate(duplicateCount), ranksPerNode: ranksPerNode)
  }

  /// Ends the process, and with it every rank.
  public var ending: @Sendable (_ status: Int32) -> Never { { exit($0) } }

  /// Returns the arrays of all ranks, by rank, once all of them have called the same operation.
  private func exchange<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ intent: String, _ operation: String
  ) throws(CommunicationError) -> [UnsafeMutableBufferPointer<Element>] {
    let note = LoopbackMeeting.Note(
      intent: intent, memory: UnsafeMutableRawPointer(values.baseAddress),
      byteCount: values.count * MemoryLayout<Element>.stride)
    return try meeting.exchange(note, operation: operation, rank: rank).map {
      UnsafeMutableBufferPointer(start: $0.memory?.assumingMemoryBound(to: Element.self), count: values.count)
    }
  }

  /// Combines the `shard` of all ranks in the order of ranks, writes it there in `values`, and returns `values`.
  private func reduce<Element: Reducible>(
    _ shard: Range<Int>, of peers: [UnsafeMutableBufferPointer<Element>],
    into values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) -> UnsafeMutableBufferPointer<Element> {
    guard !shard.isEmpty, let target = values.baseAddress else { return values }
    let sum = UnsafeMutablePointer<Element>.allocate(capacity: shard.count)
    defer { sum.deallocate() }
    for (index, peer) in peers.enumerated() {
      guard let source = peer.baseAddress.map({ $0 + shard.lowerBound }) else { continue }
      if index == 0 {
        sum.initialize(from: source, count: shard.count)
      } else {
        Element.combine(sum, source, into: sum, count: shard.count, reduction)
      }
    }
    if reduction == .mean { Element.divide(sum, count: shard.count, by: worldSize) }
    (target + shard.lowerBound).update(from: sum, count: shard.count)
    return values
  }

  private func copy<Element: Reducible>(
    _ range: Range<Int>, from source: UnsafeMutableBufferPointer<Element>,
    to target: UnsafeMutableBufferPointer<Element>
  ) {
    guard let source = source.baseAddress, let target = target.baseAddress else { return }
    (target + range.lowerBound).update(from: source + range.lowerBound, count: range.count)
  }
}
