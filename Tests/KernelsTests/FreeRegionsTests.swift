import Testing

@testable import Kernels

struct FreeRegionsTests {
  @Test func theSmallestRegionThatFitsIsCut() {
    var free = FreeRegions()
    for region in [0..<100, 200..<250, 300..<360] { free.give(region) }
    #expect(free.take(40) == 200)
    #expect(free.take(60) == 300)
    #expect(free.take(60) == 0)
    #expect(free.take(41) == nil)
    #expect(free.all == [60..<100, 240..<250])
  }

  @Test func alignedBlocksLeaveWhatIsBeforeAndBehind() {
    var free = FreeRegions()
    for region in [3..<12, 20..<40] { free.give(region) }
    #expect(free.take(8, alignment: 8) == 24)
    #expect(free.take(8, alignment: 8) == 32)
    #expect(free.take(4, alignment: 8) == 8)
    #expect(free.take(8, alignment: 8) == nil)
    #expect(free.all == [3..<8, 20..<24])
  }

  @Test func theRegionBeforeAnAddressEndsThere() {
    var free = FreeRegions()
    for region in [0..<10, 20..<30] { free.give(region) }
    #expect(free.start(ofRegionBefore: 30) == 20)
    #expect(free.start(ofRegionBefore: 10) == 0)
    #expect(free.start(ofRegionBefore: 20) == 20)
    #expect(free.start(ofRegionBefore: 31) == 31)
  }

  @Test func neighboursJoinWhateverTheOrder() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
      var free = FreeRegions()
      for index in order { free.give(10 * index..<10 * index + 10) }
      #expect(free.all == [0..<30])
    }
  }

  @Test func blocksNeverOverlapAndNothingIsLost() {
    var free = FreeRegions()
    free.give(0..<10_000)
    free.give(20_000..<30_000)
    var taken: [Range<Int>] = []
    var state: UInt64 = 1
    func draw(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for _ in 0..<5000 {
      let count = 1 + draw(700)
      if draw(3) > 0, let start = free.take(count) {
        let block = start..<start + count
        #expect(!taken.contains { $0.overlaps(block) })
        taken.append(block)
      } else if !taken.isEmpty {
        free.give(taken.remove(at: draw(taken.count)))
      }
    }
    for block in taken { free.give(block) }
    #expect(free.all == [0..<10_000, 20_000..<30_000])
  }
}
