import Foundation

/// What messages between nodes cost: latency, overhead per message, bandwidth per byte, in the manner of LogGP
/// (Alexandrov et al., 1995).
public struct Network: Codable, Sendable, Equatable {
  /// What it is called.
  public var name: String
  /// Seconds until a small message has arrived, from process to process.
  public var latency: Double
  /// Seconds for which a message keeps its sender busy, whatever its size.
  public var overhead: Double
  /// Bytes of messages per second that a node sends, and receives at the same time.
  public var bytesPerSecond: Double

  /// A network out of its figures.
  public init(name: String, latency: Double, overhead: Double, bytesPerSecond: Double) {
    self.name = name
    self.latency = latency
    self.overhead = overhead
    self.bytesPerSecond = bytesPerSecond
  }

  /// Seconds of `MPI_Alltoallv` among nodes: every node has a message for every other, all are under way together,
  /// and its link passes them one after the other.
  /// - Parameters:
  ///   - nodeCount: Nodes that exchange; 1 takes no time.
  ///   - sentBytes: What one node sends to all others together.
  public func allToAll(nodeCount: Int, sentBytes: Double) -> Double {
    guard nodeCount > 1 else { return 0 }
    return latency + Double(nodeCount - 1) * overhead + sentBytes / bytesPerSecond
  }

  /// Seconds of `MPI_Allgatherv` among nodes, as Open MPI 4.1 chooses: Bruck's rounds of doubling size for small parts;
  /// for large ones exchanges of neighbours, half as many rounds as nodes (a ring, one fewer than nodes, for odd counts).
  /// - Parameters:
  ///   - nodeCount: Nodes that exchange; 1 takes no time.
  ///   - partBytes: What every node has for the others.
  public func allGather(nodeCount: Int, partBytes: Double) -> Double {
    guard nodeCount > 1 else { return 0 }
    let rounds =
      partBytes < Self.largePart
      ? Self.doublings(nodeCount) : nodeCount.isMultiple(of: 2) ? nodeCount / 2 : nodeCount - 1
    return Double(rounds) * (latency + overhead) + Double(nodeCount - 1) * partBytes / bytesPerSecond
  }

  /// From this size on, Open MPI gathers parts in rounds of one size.
  static let largePart = 4096.0

  /// `⌈log₂ n⌉`.
  static func doublings(_ count: Int) -> Int { count <= 1 ? 0 : Int.bitWidth - (count - 1).leadingZeroBitCount }
}
