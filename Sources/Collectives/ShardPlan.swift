/// How a flat array of elements is divided among ranks: consecutive ranges that cover it exactly.
///
/// All shards have the same size up to rounding to `alignment`; where there are fewer elements than ranks times the
/// alignment, the last ones are empty.
public struct ShardPlan: Sendable, Equatable {
  /// The number of elements divided.
  public let count: Int
  /// The range of each rank, by rank.
  public let ranges: [Range<Int>]

  /// Divides `count` elements into `shardCount` ranges.
  ///
  /// - Parameters:
  ///   - count: The number of elements, 0 or more.
  ///   - shardCount: The number of ranges, 1 or more.
  ///   - alignment: Every range begins at a multiple of this many elements (or at the end), so that shards keep the
  ///     alignment of the arena's memory: 16 floats are 64 bytes.
  public init(count: Int, shardCount: Int, alignment: Int = 16) {
    require(count >= 0 && shardCount > 0 && alignment > 0, "ShardPlan(\(count), \(shardCount), \(alignment))")
    self.count = count
    let blockCount = (count + alignment - 1) / alignment
    let (quotient, remainder) = blockCount.quotientAndRemainder(dividingBy: shardCount)
    // The first `remainder` shards are one block larger.
    let starts = (0...shardCount).map { min(count, ($0 * quotient + min($0, remainder)) * alignment) }
    ranges = (0..<shardCount).map { starts[$0]..<starts[$0 + 1] }
  }

  /// The range of one rank.
  public subscript(rank: Int) -> Range<Int> { ranges[rank] }

  /// The part of every shard that lies in `range`, counted from the beginning of `range`: what `reduceScatter` and
  /// `allGather` of that range alone (a bucket) need.
  public func ranges(within range: Range<Int>) -> [Range<Int>] {
    ranges.map { shard in
      let part = shard.clamped(to: range)
      return part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound
    }
  }
}
