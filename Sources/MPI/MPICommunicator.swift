import CMPI
import Collectives
import Foundation

/// The ranks of a job that `mpirun` or `srun` started.
///
/// Reductions and gathers of values go through memory shared by the ranks of a node, and between nodes through their
/// first ranks (`NodeAwareTransfer`); everything else is MPI's own.
public final class MPICommunicator: Communicator {
  /// This process's number in the job.
  public var rank: Int { topology.world.rank }
  /// How many ranks the job has.
  public var worldSize: Int { topology.world.size }
  /// This rank's number among the ranks of its node.
  public var localRank: Int { topology.node.rank }
  /// How many ranks share this rank's node.
  public var localSize: Int { topology.node.size }
  /// The name of the host as MPI knows it.
  public let hostName: String
  /// How many nodes the job has.
  public var nodeCount: Int { topology.nodeCount }
  /// Bytes of values that this rank has sent to other nodes so far.
  public var sentByteCount: Int { transfer.sentByteCount }

  let topology: Topology
  private let transfer: NodeAwareTransfer
  private let ranksPerNode: Int?
  private let windowByteLimit: Int

  /// Takes the ranks of `handle`, which it then owns. Collective.
  init(
    _ handle: cmpi_communicator, ranksPerNode: Int?, windowByteLimit: Int
  ) throws(CommunicationError) {
    topology = try Topology(world: handle, ranksPerNode: ranksPerNode)
    transfer = try NodeAwareTransfer(topology, windowByteLimit: windowByteLimit)
    hostName = text(capacity: 256) { _ = cmpi_processor_name($0, $1) }
    self.ranksPerNode = ranksPerNode
    self.windowByteLimit = windowByteLimit
  }

  /// Replaces `values` on every rank by their reduction, by node and then across nodes.
  public func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) throws(CommunicationError) {
    let shares = ShardPlan(count: values.count, shardCount: worldSize)
    try transfer.perform(.allReduce(reduction), values, ranges: shares.ranges)
  }

  /// Replaces `values[ranges[rank]]` by its reduction, by node and then across nodes.
  public func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) throws(CommunicationError) {
    requireValid(ranges: ranges, elementCount: values.count, worldSize: worldSize, operation: "reduceScatter")
    try transfer.perform(.reduceScatter(reduction, format), values, ranges: ranges)
  }

  /// Fills `values[ranges[r]]` with what rank `r` holds there, for all `r`.
  public func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError) {
    requireValid(ranges: ranges, elementCount: values.count, worldSize: worldSize, operation: "allGather")
    try transfer.perform(.allGather, values, ranges: ranges)
  }

  /// Returns the bytes of every rank, by rank.
  public func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] {
    try topology.world.allGather(bytes: bytes)
  }

  /// Overwrites `bytes` on every rank by those of rank `root`.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError) {
    try topology.world.broadcast(bytes, from: root)
  }

  /// Returns when every rank has called it.
  public func barrier() throws(CommunicationError) { try topology.world.barrier() }

  /// Makes an independent communicator of the same ranks, with a window of its own, for one other thread.
  public func duplicate() throws(CommunicationError) -> sending any Communicator {
    try divided(ranksPerNode: ranksPerNode, windowByteLimit: windowByteLimit)
  }

  /// Makes an independent communicator of the same ranks, with another idea of what a node is. Collective.
  ///
  /// - Parameters:
  ///   - ranksPerNode: Pretend that nodes hold this many consecutive ranks, so that one machine can exercise what runs
  ///     between nodes; nil for the truth.
  ///   - windowByteLimit: How much memory the ranks of a node share.
  public func divided(
    ranksPerNode: Int?, windowByteLimit: Int = defaultWindowByteLimit
  ) throws(CommunicationError) -> sending MPICommunicator {
    var handle = cmpi_communicator()
    try check(cmpi_duplicate(topology.world.raw, &handle), "MPI_Comm_dup", rank)
    return try MPICommunicator(handle, ranksPerNode: ranksPerNode, windowByteLimit: windowByteLimit)
  }

  /// Ends every rank of the job at once; `mpirun` returns the given status.
  public var ending: @Sendable (_ status: Int32) -> Never {
    { status in
      cmpi_abort(status)
      _exit(status)  // Only reached if MPI itself could not end the process.
    }
  }

  /// Gives the shared memory and the derived communicators back. Collective.
  func free() throws(CommunicationError) {
    try transfer.free()
    try topology.free()
  }
}
