/// How a flat arena of gradients is divided into buckets: consecutive ranges, each of whole parameters, that cover it
/// exactly.
///
/// The arena lies in the order of the forward pass; the backward pass fills it from the end. So buckets are formed
/// from the end too, and `ranges` lists them in the order in which they fill up.
public struct BucketPlan: Sendable, Equatable {
  /// The buckets, the last of the arena first.
  public let ranges: [Range<Int>]

  /// Forms buckets of at least `minimumCount` elements, except the last one, which takes what is left.
  ///
  /// - Parameters:
  ///   - parameterCounts: The number of elements of each parameter, in the order of the arena, padding included.
  ///   - minimumCount: A bucket is closed when it has this many elements; 1 or more. A parameter is never split, so
  ///     one larger than this makes a larger bucket.
  public init(parameterCounts: [Int], minimumCount: Int) {
    require(minimumCount > 0, "BucketPlan: minimumCount is \(minimumCount)")
    var ranges: [Range<Int>] = []
    var start = parameterCounts.reduce(0, +)
    var end = start
    for count in parameterCounts.reversed() {
      start -= count
      if end - start >= minimumCount {
        ranges.append(start..<end)
        end = start
      }
    }
    if end > 0 { ranges.append(0..<end) }
    self.ranges = ranges
  }

  /// The position in `ranges` of the bucket that contains element `offset` of the arena; nil if it is outside.
  public func bucketIndex(containing offset: Int) -> Int? {
    ranges.firstIndex { $0.contains(offset) }
  }
}
