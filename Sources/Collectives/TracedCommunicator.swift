/// Notes in a `CommunicationTrace` what its rank is doing, and passes every operation on.
///
/// A watchdog on another thread can then tell that the rank waits, for how long, and in which operation.
public final class TracedCommunicator: Communicator {
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
  /// What ends the job.
  public var ending: @Sendable (_ status: Int32) -> Never { base.ending }
  /// Where this rank is.
  public let trace: CommunicationTrace

  private let base: any Communicator

  /// Notes the operations of `base` in `trace`.
  public init(_ base: any Communicator, trace: CommunicationTrace) {
    self.base = base
    self.trace = trace
  }

  /// Replaces `values` on every rank by their reduction.
  public func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) throws(CommunicationError) {
    trace.begin("allReduce of \(values.count) values")
    defer { trace.end() }
    try base.allReduce(values, reduction)
  }

  /// Replaces `values[ranges[rank]]` by its reduction.
  public func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) throws(CommunicationError) {
    trace.begin("reduceScatter of \(values.count) values")
    defer { trace.end() }
    try base.reduceScatter(values, ranges: ranges, reduction, format: format)
  }

  /// Fills `values[ranges[r]]` with what rank `r` holds there, for all `r`.
  public func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError) {
    trace.begin("allGather of \(values.count) values")
    defer { trace.end() }
    try base.allGather(values, ranges: ranges)
  }

  /// Returns the bytes of every rank, by rank.
  public func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] {
    trace.begin("allGather of bytes")
    defer { trace.end() }
    return try base.allGather(bytes: bytes)
  }

  /// Overwrites `bytes` on every rank by those of rank `root`.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError) {
    trace.begin("broadcast of \(bytes.count) bytes from rank \(root)")
    defer { trace.end() }
    try base.broadcast(bytes, from: root)
  }

  /// Returns when every rank has called it.
  public func barrier() throws(CommunicationError) {
    trace.begin("barrier")
    defer { trace.end() }
    try base.barrier()
  }

  /// Makes an independent communicator of the same ranks, which is not traced.
  public func duplicate() throws(CommunicationError) -> sending any Communicator {
    trace.begin("duplicate")
    defer { trace.end() }
    return try base.duplicate()
  }
}
