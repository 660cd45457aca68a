import Collectives

/// What our collective operations cost on a job of some shape: the phases of `NodeAwareTransfer` in the room `MPI`,
/// one after the other, for its leaders do them so.
public struct TransferCost: Sendable {
  /// How the ranks lie.
  public let shape: JobShape
  /// Between nodes.
  public let network: Network
  /// Bytes that a rank copies or adds per second through the memory shared within a node.
  public let nodeBytesPerSecond: Double

  /// Costs on that network.
  public init(shape: JobShape, network: Network, nodeBytesPerSecond: Double) {
    self.shape = shape
    self.network = network
    self.nodeBytesPerSecond = nodeBytesPerSecond
  }

  private var nodes: Int { shape.nodeCount }
  private var localRanks: Double { Double(shape.ranksOfFullestNode) }
  private var isAlone: Bool { shape.worldSize == 1 }

  /// Seconds to sum `byteCount` bytes of every rank, each rank keeping its share.
  public func reduceScatter(_ byteCount: Double) -> Double {
    guard !isAlone else { return 0 }
    return reduction(byteCount)
      + pieces(byteCount) { network.allToAll(nodeCount: nodes, sentBytes: Double(nodes - 1) * $0) }
  }

  /// Seconds until every rank has the shares of all, `byteCount` bytes together.
  public func allGather(_ byteCount: Double) -> Double {
    guard !isAlone else { return 0 }
    return copy(byteCount) + pieces(byteCount) { network.allGather(nodeCount: nodes, partBytes: $0) }
  }

  /// Seconds to sum `byteCount` bytes of every rank on every rank: both of the above, piece by piece.
  public func allReduce(_ byteCount: Double) -> Double {
    guard !isAlone else { return 0 }
    return reduction(byteCount) + copy(byteCount)
      + pieces(byteCount) {
        network.allToAll(nodeCount: nodes, sentBytes: Double(nodes - 1) * $0)
          + network.allGather(nodeCount: nodes, partBytes: $0)
      }
  }

  /// Seconds until every rank knows that none has failed: `MPI_Allgather` of a number.
  public var agreement: Double { network.allGather(nodeCount: nodes, partBytes: 8) }

  /// Each rank lays its values down for the others of its node, and adds up its part of them.
  private func reduction(_ byteCount: Double) -> Double {
    byteCount * (1 - 1 / localRanks + 1) / nodeBytesPerSecond * shape.oversubscription
  }

  private func copy(_ byteCount: Double) -> Double { byteCount / nodeBytesPerSecond * shape.oversubscription }

  /// The exchange between nodes, once for each piece of the ranks' shares.
  /// - Parameter exchange: Seconds for one, given the bytes that each node has for every other.
  private func pieces(_ byteCount: Double, _ exchange: (Double) -> Double) -> Double {
    guard nodes > 1 else { return 0 }
    let share = byteCount / Double(shape.worldSize)
    let limit = NodeWindowSize.pieceByteCount(
      worldSize: shape.worldSize, ranksOfFullestNode: shape.ranksOfFullestNode)
    let count = max(1, (share / Double(limit)).rounded(.up))
    return count * exchange(share / count * localRanks)
  }
}
