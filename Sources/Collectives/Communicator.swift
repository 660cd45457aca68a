/// The ranks of one job, and what they can do together.
///
/// Every operation is *collective*: each rank must make the same calls in the same order with the same counts, ranges,
/// reduction and root. (`SequenceCheckedCommunicator` proves it at run time.) Operations block until this rank's part
/// is done.
///
/// Sums have a fixed order at a given world size and placement of ranks on nodes, so repeated runs agree bit for bit,
/// and every rank receives the same bits.
///
/// Not `Sendable`: a communicator stays on the thread that made it; another thread takes its own `duplicate()`.
public protocol Communicator: AnyObject {
  /// This process's number, in `0..<worldSize`.
  var rank: Int { get }
  /// How many ranks the job has.
  var worldSize: Int { get }
  /// This rank's number among the ranks of its node, in `0..<localSize`.
  var localRank: Int { get }
  /// How many ranks share this rank's node.
  var localSize: Int { get }
  /// The name of the host this rank runs on.
  var hostName: String { get }

  /// Replaces `values` on every rank by their elementwise reduction over the ranks.
  ///
  /// - Precondition: Every rank passes the same count (0 is allowed); `.mean` only with floating-point elements.
  func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) throws(CommunicationError)

  /// Replaces `values[ranges[rank]]` by its elementwise reduction over the ranks: each rank receives its own share.
  ///
  /// - Parameters:
  ///   - values: The whole array, of the same count on every rank. What lies outside `ranges[rank]` is unspecified
  ///     afterwards.
  ///   - ranges: One range of elements per rank, the same on every rank; ascending and disjoint, uneven or empty at
  ///     will (see `ShardPlan`).
  ///   - reduction: How the values are combined.
  ///   - format: How floats that are added up are written in messages between nodes; other elements and reductions are
  ///     written as they are.
  func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) throws(CommunicationError)

  /// Fills `values[ranges[r]]` on every rank with what rank `r` holds there, for all `r`.
  ///
  /// - Parameters:
  ///   - values: The whole array, of the same count on every rank. What lies in none of the ranges stays as it is.
  ///   - ranges: As in `reduceScatter`.
  func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError)

  /// Returns the bytes of every rank, by rank; each rank may give a different number, or none.
  func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]]

  /// Overwrites `bytes` on every rank by those of rank `root`.
  ///
  /// - Precondition: Every rank passes the same count and root.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError)

  /// Returns when every rank has called it.
  func barrier() throws(CommunicationError)

  /// Makes an independent communicator of the same ranks, for use by one other thread. Collective.
  ///
  /// Operations on the two may be under way at the same time.
  func duplicate() throws(CommunicationError) -> sending any Communicator

  /// Ends every rank of the job at once with the given exit status. Not collective: any thread of any one rank may call
  /// it, also while this communicator is in use.
  var ending: @Sendable (_ status: Int32) -> Never { get }
}

/// Checks, on this rank alone, what `reduceScatter` and `allGather` demand of their ranges.
package func requireValid(ranges: [Range<Int>], elementCount: Int, worldSize: Int, operation: StaticString) {
  require(ranges.count == worldSize, "\(operation): \(ranges.count) ranges for \(worldSize) ranks")
  var end = 0
  for (rank, range) in ranges.enumerated() where !range.isEmpty {
    require(
      range.lowerBound >= end && range.upperBound <= elementCount,
      "\(operation): range \(range) of rank \(rank) overlaps an earlier one or exceeds \(elementCount) elements")
    end = range.upperBound
  }
}
