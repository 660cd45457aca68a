import CMPI
import Collectives

/// Which rank sits on which node, and the communicators within a node and among nodes.
struct Topology {
  let world: MPIHandle
  /// The ranks of this node.
  let node: MPIHandle
  /// The first rank of each node; nil on all other ranks.
  let leaders: MPIHandle?
  let nodeIndex: Int
  let nodeCount: Int
  /// All ranks, node by node; equal to `0..<worldSize` where nodes hold consecutive ranks.
  let ranksByNode: [Int]
  /// The part of `ranksByNode` that each node has.
  let nodeRanges: [Range<Int>]
  /// The position of each rank in `ranksByNode`.
  let slots: [Int]

  /// Finds out who shares memory with whom. Collective.
  ///
  /// - Parameter ranksPerNode: Pretend that nodes hold this many consecutive ranks; for tests on one machine.
  init(world: cmpi_communicator, ranksPerNode: Int?) throws(CommunicationError) {
    let all = try MPIHandle(world, worldRank: 0)
    let rank = all.rank
    var part = cmpi_communicator()
    if let ranksPerNode {
      try check(cmpi_split(world, Int32(rank / ranksPerNode), Int32(rank), &part), "MPI_Comm_split", rank)
    } else {
      try check(cmpi_split_by_node(world, Int32(rank), &part), "MPI_Comm_split_type", rank)
    }
    let node = try MPIHandle(part, worldRank: rank)
    var first = cmpi_communicator()
    try check(cmpi_split(world, node.rank == 0 ? 0 : -1, Int32(rank), &first), "MPI_Comm_split", rank)

    // A node is known by its leader, the lowest of its ranks.
    let leaderRank = try node.allGather(Int64(rank))[0]
    let leaderOfRank = try all.allGather(leaderRank)
    let leaderRanks = Set(leaderOfRank).sorted()
    let members = leaderRanks.map { leader in leaderOfRank.indices.filter { leaderOfRank[$0] == leader } }

    self.world = all
    self.node = node
    leaders = cmpi_is_null(first) == 0 ? try MPIHandle(first, worldRank: rank) : nil
    nodeIndex = leaderRanks.firstIndex(of: leaderRank) ?? 0
    nodeCount = leaderRanks.count
    ranksByNode = members.flatMap { $0 }
    let starts = prefixSums(members.map(\.count))
    nodeRanges = members.indices.map { starts[$0]..<starts[$0 + 1] }
    var slots = [Int](repeating: 0, count: all.size)
    for (slot, rank) in ranksByNode.enumerated() { slots[rank] = slot }
    self.slots = slots
  }

  /// Gives the derived communicators back. Collective.
  func free() throws(CommunicationError) {
    try check(cmpi_free(node.raw), "MPI_Comm_free", world.rank)
    if let leaders { try check(cmpi_free(leaders.raw), "MPI_Comm_free", world.rank) }
  }
}
