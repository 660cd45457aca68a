import Testing

@testable import DataLoading

struct SamplerTests {
  @Test(arguments: [1, 2, 3, 10, 255, 256, 257, 1_000, 4_097])
  func eachEpochShowsEachImageOnce(count: Int) {
    let sampler = Sampler(count: count, seed: 3)
    for epoch in 0..<3 {
      let shown = (0..<count).map { sampler.sample(at: epoch * count + $0) }
      #expect(shown.sorted() == Array(0..<count))
    }
  }

  @Test(arguments: [(1, 24), (2, 12), (3, 8), (8, 3), (24, 1)])
  func everyWorldSizeSeesTheSameGlobalBatches(worldSize: Int, batchSize: Int) {
    for step in 0..<5 {
      let global = (0..<worldSize).flatMap {
        Array(Sampler.positions(step: step, from: 7, rank: $0, worldSize: worldSize, batchSize: batchSize))
      }
      #expect(global == Array((7 + step * 24)..<(7 + (step + 1) * 24)))
    }
  }

  @Test func epochsAndSeedsHaveOrdersOfTheirOwn() {
    let order = { (seed: UInt64, epoch: Int) in
      (0..<100).map { Sampler(count: 100, seed: seed).sample(at: epoch * 100 + $0) }
    }
    #expect(order(0, 0) == order(0, 0))
    #expect(order(0, 0) != order(0, 1))
    #expect(order(0, 0) != order(1, 0))
    #expect(order(0, 0) != Array(0..<100))
  }

  @Test func everyPlaceIsEquallyLikelyForEveryImage() {
    let count = 12
    let epochs = 4_000
    let sampler = Sampler(count: count, seed: 11)
    var seen = [[Int]](repeating: [Int](repeating: 0, count: count), count: count)
    for position in 0..<(epochs * count) { seen[sampler.sample(at: position)][position % count] += 1 }
    let mean = Double(epochs) / Double(count)
    // 143 degrees of freedom less ties: mean 121, standard deviation 15.6; a fixed order gives tens of thousands.
    let chiSquare = seen.joined().reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) / mean }
    #expect(chiSquare > 60 && chiSquare < 200)
  }

  @Test func neighboursInTheOrderAreStrangers() {
    let count = 50_000
    let sampler = Sampler(count: count, seed: 5)
    let order = (0..<count).map { sampler.sample(at: $0) }
    let jump = zip(order, order.dropFirst()).map { abs($0 - $1) }.reduce(0, +) / (count - 1)
    // Two random places are a third of the length apart.
    #expect(abs(jump - count / 3) < count / 100)
  }

  @Test func theOrderOfASeedNeverChanges() {
    let sampler = Sampler(count: 1_281_167, seed: 42)
    #expect((0..<4).map { sampler.sample(at: $0) } == [714_296, 616_651, 297_850, 198_803])
    #expect(sampler.sample(at: 1_281_167 * 3 + 17) == 675_976)
  }

  @Test func aShiftGoesRoundWithinItsEpoch() {
    let sampler = Sampler(count: 10, seed: 1)
    #expect(sampler.sample(at: 13, shiftedBy: 2) == sampler.sample(at: 15))
    #expect(sampler.sample(at: 18, shiftedBy: 4) == sampler.sample(at: 12))
  }

  @Test func keyedNumbersDependOnEveryPartOfTheKey() {
    var drawn: Set<UInt64> = []
    for seed in 0..<3 {
      for purpose in [KeyedRandom.Purpose.order, .view] {
        for (epoch, sample, view) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)] {
          var random = KeyedRandom(seed: UInt64(seed), purpose: purpose, epoch: epoch, sample: sample, view: view)
          drawn.insert(random.next())
        }
      }
    }
    #expect(drawn.count == 30)
  }

  @Test func numbersStayInTheirRange() {
    var random = KeyedRandom(seed: 0, purpose: .view, epoch: 0)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<7_000 {
      counts[random.integer(below: 7)] += 1
      #expect((0..<1).contains(random.unitInterval()))
    }
    #expect(counts.allSatisfy { (850...1_150).contains($0) })
  }
}
