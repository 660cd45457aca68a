import Foundation
import Testing

@testable import DataLoading

struct ShardedOrderTests {
  private func order(_ counts: [Int], lanes: Int, window: Int, seed: UInt64 = 3) -> Sampler {
    Sampler(shards: ShardedOrder(shardCounts: counts, shuffle: ShardShuffle(lanes: lanes, window: window), seed: seed))
  }

  @Test(arguments: [[1], [5, 0, 3], [100, 100, 41, 100], [7, 7, 7]], [(1, 1), (4, 3), (16, 1000), (300, 2)])
  func eachEpochShowsEachImageOnce(counts: [Int], shape: (lanes: Int, window: Int)) {
    let sampler = order(counts, lanes: shape.lanes, window: shape.window)
    let count = counts.reduce(0, +)
    for epoch in 0..<3 {
      #expect((0..<count).map { sampler.sample(at: epoch * count + $0) }.sorted() == Array(0..<count))
    }
  }

  @Test func epochsAndSeedsHaveOrdersOfTheirOwn() {
    let counts = [Int](repeating: 20, count: 10)
    let shown = { (seed: UInt64, epoch: Int) in
      (0..<200).map { order(counts, lanes: 8, window: 10, seed: seed).sample(at: epoch * 200 + $0) }
    }
    #expect(shown(0, 0) == shown(0, 0) && shown(0, 0) != shown(0, 1) && shown(0, 0) != shown(1, 0))
  }

  @Test(arguments: [1, 2, 4, 8])
  func eachRankReadsItsShareOfTheShardsFromFrontToBack(worldSize: Int) {
    let (shardCount, shardSize, batch) = (40, 100, 16)
    let sampler = order([Int](repeating: shardSize, count: shardCount), lanes: batch, window: 10)
    let share = batch / worldSize
    for rank in 0..<worldSize {
      var touched: Set<Int> = []
      var backward = 0
      for lane in 0..<share {
        var places: [Int] = []
        for step in 0..<(shardCount * shardSize / batch) {
          let sample = sampler.sample(at: step * batch + rank * share + lane)
          touched.insert(sample / shardSize)
          places.append(sample)
        }
        // Forward but for the window, and but for the jump from shard to shard.
        for (a, b) in zip(places, places.dropFirst()) where a / shardSize == b / shardSize && b < a - 10 {
          backward += 1
        }
      }
      #expect(backward == 0)
      // Its share of the shards, and the ones that its lanes share with their neighbours.
      #expect(touched.count <= shardCount / worldSize + share + 1)
    }
  }

  /// How near the two-level shuffle comes to a full one, on shards that hold one class each: the hardest case.
  @Test func aBatchIsAsMixedAsWithAFullShuffle() {
    let (classes, perClass, batch) = (100, 100, 64)
    let sharded = order([Int](repeating: perClass, count: classes), lanes: batch, window: 64)
    let full = Sampler(count: classes * perClass, seed: 3)
    let (found, expected) = (distinctClasses(sharded), distinctClasses(full))
    print("shuffle quality: \(found) classes in a batch of \(batch), a full shuffle has \(expected)")
    #expect(found > 0.95 * expected)
    // Images that met in a batch of the first epoch should not meet again more often than by chance.
    let (again, byChance) = (meetingsAgain(sharded), meetingsAgain(full))
    print("shuffle quality: \(again) of all pairs of a batch meet in the next epoch, a full shuffle has \(byChance)")
    #expect(again < 3 * byChance)

    func distinctClasses(_ sampler: Sampler) -> Double {
      let steps = classes * perClass / batch
      let sum = (0..<steps).reduce(0) { sum, step in
        sum + Set((0..<batch).map { sampler.sample(at: step * batch + $0) / perClass }).count
      }
      return Double(sum) / Double(steps)
    }
    func meetingsAgain(_ sampler: Sampler) -> Double {
      let count = classes * perClass
      var batchOf = [Int](repeating: 0, count: count)
      for place in 0..<count { batchOf[sampler.sample(at: count + place)] = place / batch }
      var (pairs, meetings) = (0, 0)
      for step in 0..<(count / batch) {
        let members = (0..<batch).map { batchOf[sampler.sample(at: step * batch + $0)] }
        for (index, first) in members.enumerated() {
          for second in members[(index + 1)...] {
            pairs += 1
            if first == second { meetings += 1 }
          }
        }
      }
      return Double(meetings) / Double(pairs)
    }
  }

  /// Positions of four epochs' images are the same for every number of ranks, also from the middle on.
  @Test(arguments: [1, 2, 3, 8])
  func everyWorldSizeShowsTheSameGlobalOrder(worldSize: Int) {
    let sampler = order([31, 40, 25], lanes: 24, window: 5)
    let expected = (0..<(96 * 4)).map { sampler.sample(at: $0) }
    for cursor in [0, 24 * 7] {
      let share = 24 / worldSize
      let steps = (96 * 4 - cursor) / 24
      let found = (0..<steps).flatMap { step in
        (0..<worldSize).flatMap { rank in
          Sampler.positions(step: step, from: cursor, rank: rank, worldSize: worldSize, batchSize: share)
            .map { sampler.sample(at: $0) }
        }
      }
      #expect(found == Array(expected[cursor...]))
    }
  }

  @Test func theOrderOfASeedNeverChanges() {
    let sampler = order([100, 200, 50], lanes: 16, window: 8, seed: 42)
    #expect((0..<6).map { sampler.sample(at: $0) } == [0, 28, 45, 66, 91, 316])
  }
}
