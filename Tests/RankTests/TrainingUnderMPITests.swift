import Checkpointing
import Foundation
import Testing

/// What a user relies on in a run of several ranks, with real processes.
extension RankTests {
  @Suite struct TokenizerTraining {
    @Test func theWorldSizeChangesNothingButTheOrderOfSums() throws {
      let playground = try TrainingPlayground()
      let worlds = [1, 2, 4]
      for ranks in worlds {
        let outcome = try MPIRun.run(
          "rank-checks", ["train", playground.recipe, playground.run("ranks\(ranks)")], rankCount: ranks)
        #expect(outcome.status == 0, "\(outcome.standardError)")
      }
      let reference = playground.run("ranks1")
      for ranks in worlds.dropFirst() {
        let run = playground.run("ranks\(ranks)")
        for (one, many) in zip(
          try playground.curve("loss", of: reference).prefix(5), try playground.curve("loss", of: run))
        {
          #expect(abs(one - many) <= 1e-5 * abs(one), "\(ranks) ranks: loss \(many), one rank: \(one)")
        }
        #expect(try playground.curve("loss", of: run).count == 6)
        // Integer statistics of the codes of the first step, before rounding can flip a sign.
        for name in ["codesCounted", "codesDead", "keepCount"] {
          #expect(
            try playground.curve(name, of: run) == playground.curve(name, of: reference), "\(name) with \(ranks) ranks")
        }
        #expect(try playground.relativeDistance("model", from: reference, to: run) < 1e-4)
        #expect(
          try playground.epochs(of: run).first == playground.epochs(of: reference).first, "codes of the first epoch")
      }
      try playground.remove()
    }
  }
}
