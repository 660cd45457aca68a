/// Makes sure that all ranks call the same operations in the same order, instead of waiting for each other for ever.
///
/// Before each operation the ranks exchange what they mean to do (operation, count, ranges, reduction, root). If they
/// differ, all ranks throw alike. This costs one more exchange per operation: use it while debugging, or for the first
/// steps of a run. A rank that calls nothing at all is not found out here.
public final class SequenceCheckedCommunicator: Communicator {
  /// This process's number in the job.
  public var rank: Int { base.rank }
  /// How many ranks the job has.
  public var worldSize: Int { base.worldSize }
  /// This rank's number among the ranks of its node.
  public var localRank: Int { base.localRank }
  /// How many ranks share this rank's node.
  public var localSize: Int { base.localSize }
  /// The name of the host this rank runs on.
  public var hostName: String { base.hostName }

  private let base: any Communicator
  private var checkedCallCount: Int
  private var callCount = 0

  /// Checks the operations of `base`, which should not be used otherwise meanwhile. Not collective.
  ///
  /// - Parameters:
  ///   - base: Who carries the operations out.
  ///   - checkedCallCount: How many operations to check, the same on every rank; the later ones are only passed on.
  public init(_ base: any Communicator, checkedCallCount: Int = .max) {
    self.base = base
    self.checkedCallCount = checkedCallCount
  }

  /// Only passes operations on from now. To be called by every rank between the same operations.
  public func stopChecking() { checkedCallCount = 0 }

  /// Replaces `values` on every rank by their reduction.
  public func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) throws(CommunicationError) {
    try compare(Intent.allReduce(values, reduction))
    try base.allReduce(values, reduction)
  }

  /// Replaces `values[ranges[rank]]` by its reduction.
  public func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) throws(CommunicationError) {
    try compare(Intent.reduceScatter(values, ranges, reduction, format))
    try base.reduceScatter(values, ranges: ranges, reduction, format: format)
  }

  /// Fills `values[ranges[r]]` with what rank `r` holds there, for all `r`.
  public func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError) {
    try compare(Intent.allGather(values, ranges))
    try base.allGather(values, ranges: ranges)
  }

  /// Returns the bytes of every rank, by rank.
  public func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] {
    try compare(Intent.allGatherBytes)
    return try base.allGather(bytes: bytes)
  }

  /// Overwrites `bytes` on every rank by those of rank `root`.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError) {
    try compare(Intent.broadcast(bytes, root))
    try base.broadcast(bytes, from: root)
  }

  /// Returns when every rank has called it.
  public func barrier() throws(CommunicationError) {
    try compare(Intent.barrier)
    try base.barrier()
  }

  /// Makes an independent communicator of the same ranks, which is not checked.
  public func duplicate() throws(CommunicationError) -> sending any Communicator {
    try compare(Intent.duplicate)
    return try base.duplicate()
  }

  /// Ends every rank of the job at once with the given exit status.
  public var ending: @Sendable (_ status: Int32) -> Never { base.ending }

  /// Throws on every rank alike, unless all ranks have the same intent.
  private func compare(_ intent: String) throws(CommunicationError) {
    guard callCount < checkedCallCount else { return }
    callCount += 1
    let intents = try base.allGather(intent)
    guard Set(intents).count > 1 else { return }
    var ranksByIntent: [(intent: String, ranks: [String])] = []
    for (rank, intent) in intents.enumerated() {
      if let index = ranksByIntent.firstIndex(where: { $0.intent == intent }) {
        ranksByIntent[index].ranks.append("\(rank)")
      } else {
        ranksByIntent.append((intent, ["\(rank)"]))
      }
    }
    let groups = ranksByIntent.map { "\($0.intent) on rank \($0.ranks.joined(separator: ", "))" }
    throw CommunicationError(
      operation: "call \(callCount)", rank: rank, reason: "the ranks differ: \(groups.joined(separator: "; "))")
  }
}
