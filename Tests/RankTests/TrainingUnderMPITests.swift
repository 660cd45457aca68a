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

    /// Two accumulation rounds, so that only the second may send; buckets smaller than most parameters; and a run that
    /// stops in between and goes on the other way.
    @Test func reducingWhileComputingChangesNoBit() throws {
      let playground = try TrainingPlayground()
      let settings = ["batch.accumulation=2", "run.communication.bucketBytes=20000"]
      for overlap in ["never", "always"] {
        let outcome = try playground.train(overlap, settings + ["run.communication.overlap=\(overlap)"])
        #expect(outcome.status == 0, "\(outcome)")
        let says = outcome.standardOutput.contains("gradients are reduced while others are computed")
        #expect(says == (overlap == "always"))
      }
      #expect(try playground.bytes(of: playground.run("always")) == playground.bytes(of: playground.run("never")))
      #expect(
        try playground.curve("gradientNorm", of: playground.run("always"))
          == playground.curve("gradientNorm", of: playground.run("never")))
      try playground.remove()
    }

    /// The first buckets go out before a rank knows that another rank's loss is not a number.
    @Test func aSkippedStepLeavesNothingBehindInTheBuckets() throws {
      let playground = try TrainingPlayground()
      for overlap in ["never", "always"] {
        let outcome = try playground.train(
          overlap, ["nan:1:2", "run.communication.bucketBytes=20000", "run.communication.overlap=\(overlap)"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.standardOutput.contains("the step is skipped"))
      }
      #expect(try playground.bytes(of: playground.run("always")) == playground.bytes(of: playground.run("never")))
      try playground.remove()
    }
  }
}
