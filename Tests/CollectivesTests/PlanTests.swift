import Collectives
import Testing

struct PlanTests {
  @Test(arguments: [0, 1, 15, 16, 17, 100, 1000, 12345], [1, 2, 3, 7, 64])
  func shardsCoverTheArrayExactlyAndEvenly(count: Int, shardCount: Int) {
    for alignment in [1, 16] {
      let plan = ShardPlan(count: count, shardCount: shardCount, alignment: alignment)
      #expect(plan.ranges.count == shardCount)
      #expect(Array(plan.ranges.joined()) == Array(0..<count))
      #expect(plan.ranges.allSatisfy { $0.lowerBound % alignment == 0 || $0.isEmpty })
      let sizes = plan.ranges.map(\.count)
      #expect(sizes.max()! - sizes.min()! <= 2 * alignment - 1)
    }
  }

  @Test(arguments: [0..<1000, 0..<10, 250..<750, 990..<1000, 40..<40])
  func shardsWithinABucketCoverTheBucket(bucket: Range<Int>) {
    let plan = ShardPlan(count: 1000, shardCount: 3)
    let parts = plan.ranges(within: bucket)
    #expect(Array(parts.joined()) == Array(0..<bucket.count))
    for (rank, part) in parts.enumerated() {
      for index in part { #expect(plan[rank].contains(bucket.lowerBound + index)) }
    }
  }

  @Test(arguments: [[], [5], [10, 20, 30], [1, 1, 1, 1, 1], [100, 1, 1, 100, 3]], [1, 3, 30, 1000])
  func bucketsCoverTheArenaFromItsEndAndSplitNoParameter(counts: [Int], minimumCount: Int) {
    let plan = BucketPlan(parameterCounts: counts, minimumCount: minimumCount)
    let total = counts.reduce(0, +)
    #expect(Array(plan.ranges.reversed().joined()) == Array(0..<total))
    var boundaries: Set<Int> = [0]
    for count in counts { boundaries.insert((boundaries.max() ?? 0) + count) }
    #expect(plan.ranges.allSatisfy { boundaries.contains($0.lowerBound) && boundaries.contains($0.upperBound) })
    #expect(plan.ranges.dropLast().allSatisfy { $0.count >= minimumCount })
    if total > 0 { #expect(plan.bucketIndex(containing: 0) == plan.ranges.count - 1) }
    #expect(plan.bucketIndex(containing: total) == nil)
  }
}
