import CMPI
import Collectives

/// Memory that the ranks of a node share, of a bounded size whatever is sent through it.
///
/// It holds, twice over so that one piece can be written while the one before is read:
/// - contributions: one area for each rank of the node, with values for every rank of the job;
/// - partials: the sums over this node (only where there are more nodes);
/// - results.
struct NodeWindow {
  /// The byte count of one rank's piece (see `NodeWindowSize`).
  let pieceByteCount: Int

  private let window: cmpi_window
  private let signals: UnsafeMutableRawPointer
  private let areas: UnsafeMutableRawPointer
  private let areaByteCount: Int
  private let areasPerParity: Int
  private let topology: Topology
  private let spinCount: Int32
  private var arrivals: UInt32 = 0

  /// Allocates a window of at most `byteLimit` bytes for each node. Collective.
  init(_ topology: Topology, byteLimit: Int) throws(CommunicationError) {
    self.topology = topology
    let localSize = topology.node.size
    let worldSize = topology.world.size
    areasPerParity = localSize + (topology.nodeCount > 1 ? 2 : 1)
    // The pieces of all nodes must be equal: sizes follow from the fullest node.
    pieceByteCount = NodeWindowSize.pieceByteCount(
      worldSize: worldSize, ranksOfFullestNode: topology.nodeRanges.map(\.count).max() ?? 1, byteLimit: byteLimit)
    areaByteCount = worldSize * pieceByteCount
    let signalByteCount = localSize * Int(CMPI_SIGNAL_STRIDE)

    var base: UnsafeMutableRawPointer?
    var window = cmpi_window()
    let byteCount = signalByteCount + 2 * areasPerParity * areaByteCount
    try check(
      cmpi_window_allocate(topology.node.raw, Int64(byteCount), &base, &window),
      "allocating \(byteCount) bytes of shared memory (is /dev/shm full?)", topology.world.rank)
    guard let base else {
      throw CommunicationError(
        operation: "MPI_Win_shared_query", rank: topology.world.rank, reason: "the shared memory has no address")
    }
    self.window = window
    signals = base
    areas = base + signalByteCount
    if topology.node.rank == 0 { signals.initializeMemory(as: UInt8.self, repeating: 0, count: signalByteCount) }
    try topology.node.barrier()
    // Where ranks outnumber cores, whoever spins keeps the awaited rank from running.
    spinCount = localSize <= Int(cmpi_online_core_count()) ? 2000 : 0
  }

  /// Where a rank of this node puts what it contributes to piece number `piece`.
  func contributions(of localRank: Int, piece: Int) -> UnsafeMutableRawPointer {
    areas + ((piece & 1) * areasPerParity + localRank) * areaByteCount
  }

  /// Where the sums over this node lie, or what its ranks have published.
  func partials(piece: Int) -> UnsafeMutableRawPointer {
    areas + ((piece & 1) * areasPerParity + topology.node.size) * areaByteCount
  }

  /// Where the results over all nodes lie.
  func results(piece: Int) -> UnsafeMutableRawPointer {
    areas + ((piece & 1) * areasPerParity + areasPerParity - 1) * areaByteCount
  }

  /// Returns when every rank of this node has come here as often as this one.
  mutating func meet() {
    arrivals &+= 1
    cmpi_signal_arrive(signals, Int32(topology.node.rank))
    for rank in 0..<topology.node.size where rank != topology.node.rank {
      cmpi_signal_wait(signals, Int32(rank), arrivals, spinCount)
    }
  }

  /// Gives the memory back. Collective within the node.
  func free() throws(CommunicationError) {
    try check(cmpi_window_free(window), "MPI_Win_free", topology.world.rank)
  }
}
