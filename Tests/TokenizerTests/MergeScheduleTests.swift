import Testing
import Tokenizer

struct MergeScheduleTests {
  @Test func fallsLinearlyAndSumsExactly() {
    #expect(MergeSchedule.merges(total: 28, blocks: 3) == [14, 9, 5])
    #expect(MergeSchedule.merges(total: 15, blocks: 4) == [6, 4, 3, 2])
    #expect(MergeSchedule.merges(total: 0, blocks: 2) == [0, 0])
    #expect(MergeSchedule.merges(total: 5, blocks: 1) == [5])
  }

  @Test(arguments: [(1024, 256, 12), (256, 121, 12), (256, 49, 12), (64, 25, 4), (256, 249, 12), (64, 63, 3)])
  func everyPublishedKeepCountIsReached(positions: Int, keep: Int, blocks: Int) {
    let merges = MergeSchedule.merges(keep: keep, of: positions, blocks: blocks)
    #expect(merges.reduce(0, +) == positions - keep)
    #expect(merges.allSatisfy { $0 >= 0 })
    #expect(MergeSchedule.isReachable(keep: keep, of: positions, blocks: blocks))
  }

  @Test func aSmallerViewMergesAsManyTokensAsItCan() {
    // 256 positions to 49 in 12 blocks, on the 196 positions of a view of 224 pixels: 207 merges are too many.
    let merges = MergeSchedule.merges(keep: 196 - 207, of: 196, blocks: 12)
    var tokens = 197
    for count in merges {
      #expect(count <= (tokens - 1) / 2)
      tokens -= count
    }
    #expect(tokens >= 2 && merges.dropLast(3) == MergeSchedule.merges(total: 207, blocks: 12).dropLast(3))
  }

  @Test func oneBlockCannotMergeMoreThanHalf() {
    #expect(!MergeSchedule.isReachable(keep: 10, of: 64, blocks: 1))
    #expect(MergeSchedule.isReachable(keep: 32, of: 64, blocks: 1))
    #expect(!MergeSchedule.isReachable(keep: 0, of: 64, blocks: 4))
    #expect(!MergeSchedule.isReachable(keep: 65, of: 64, blocks: 4))
  }

  @Test func theDrawOfAStepFollowsTheWeights() {
    let counts = [121, 144, 169, 196, 225, 256]
    func share(_ keep: Int, _ distribution: TokenizerConfig.KeepDistribution) -> Int {
      (0..<100).count { MergeSchedule.keepCount(step: $0, counts: counts, distribution: distribution) == keep }
    }
    // Weights exp(−(i−1)²/0.5) + 0.05: 0.185, 1.05, 0.185, 0.0503, 0.05, 0.05 of 1.571.
    #expect(counts.map { share($0, .gaussian) } == [12, 67, 12, 3, 3, 3])
    #expect(share(121, .exponential) > share(144, .exponential))
    #expect(counts.map { share($0, .uniform) } == [17, 17, 17, 16, 17, 16])
    #expect(
      MergeSchedule.keepCount(step: 42, counts: counts, distribution: .gaussian)
        == MergeSchedule.keepCount(step: 1042, counts: counts, distribution: .gaussian))
  }
}
