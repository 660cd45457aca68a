import Checkpointing
import Foundation
import Testing

/// What clusters do to a run, with real processes. After each the next start ends as the undisturbed run, bit for bit.
extension RankTests {
  @Suite struct Drills {
    private func identifiers(_ job: MPIRun, count: Int = 2) throws -> [Int32] {
      let identifiers = try job.line(after: "pids: ").split(separator: " ").compactMap { Int32($0) }
      try #require(identifiers.count == count)
      return identifiers
    }

    @Test(arguments: [(0, 2), (1, 4), (0, 5)])
    func aKilledRankEndsTheJobAndTheNextStartResumes(victim: Int, step: Int) throws {
      let playground = try TrainingPlayground()
      let job = try playground.start("run")
      let ranks = try identifiers(job)
      _ = try job.line(after: "step: \(step)")
      job.signal(ranks[victim])
      let outcome = try job.wait()
      #expect(outcome.status != 0)
      #expect(outcome.duration < .seconds(10))
      let resumed = try playground.train("run")
      #expect(resumed.status == 0, "\(resumed)")
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test func theNextStartResumesWhenAllRanksAreKilled() throws {
      let playground = try TrainingPlayground()
      let job = try playground.start("run")
      let ranks = try identifiers(job)
      _ = try job.line(after: "step: 5")
      for rank in ranks { job.signal(rank) }
      #expect(try job.wait().status != 0)
      #expect(try playground.train("run").status == 0)
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test(arguments: [
      "prepared", "shardHalfWritten", "shardWritten", "beforeManifest", "beforeRename", "beforeLatest", "beforePrune",
      "pruning",
    ])
    func aKillInsideACheckpointWriteLosesNothing(stage: String) throws {
      let playground = try TrainingPlayground()
      // With one checkpoint kept, the second write prunes the first.
      let killed = try playground.train("run", ["die:\(stage)", "run.keepLast=1"])
      #expect(killed.status != 0)
      #expect(!killed.standardOutput.contains("ending:"))
      let resumed = try playground.train("run", ["run.keepLast=1"])
      #expect(resumed.status == 0, "\(resumed.standardError)")
      #expect(resumed.standardOutput.contains("message: resumed"))
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test(arguments: [SIGTERM, SIGUSR1])
    func aSignalToOneRankEndsAllWithACheckpoint(signal: Int32) throws {
      let playground = try TrainingPlayground()
      let job = try playground.start("run")
      let ranks = try identifiers(job)
      _ = try job.line(after: "step: 4")
      job.signal(ranks[1], signal)
      let outcome = try job.wait()
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.standardOutput.contains("ending: interrupted(signal: \(signal), step: "))
      let resumed = try playground.train("run")
      #expect(resumed.standardOutput.contains("message: resumed"))
      #expect(!resumed.standardOutput.contains("after step 3"), "the checkpoint off schedule is used")
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test(arguments: [0, 1])
    func aStoppedRankIsNamedAndTheJobEnds(victim: Int) throws {
      let playground = try TrainingPlayground()
      let limits = ["run.faults.stallSeconds=1", "run.faults.heartbeatSeconds=0.2"]
      let job = try playground.start("run", limits)
      let ranks = try identifiers(job)
      _ = try job.line(after: "step: 4")
      job.signal(ranks[victim], SIGSTOP)
      let outcome = try job.wait()
      #expect(outcome.status == 75, "\(outcome)")
      #expect(outcome.occurrences(of: "alarm: ") == 1, "\(outcome)")
      #expect(outcome.standardOutput.contains(": rank \(victim) ("))
      #expect(outcome.standardOutput.contains("is missing"))
      #expect(outcome.standardOutput.contains("silent since"))
      #expect(try playground.train("run").status == 0)
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test func notANumberOnOneRankIsSkippedOrRolledBackAlike() throws {
      let playground = try TrainingPlayground()
      let skipped = try playground.train("skipped", ["nan:1:5", "run.faults.nonFinite=skip"])
      #expect(skipped.status == 0, "\(skipped)")
      #expect(skipped.occurrences(of: "message: step 5: rank 1 (") == 1, "\(skipped)")
      let log = try String(contentsOfFile: playground.run("skipped") + "/non-finite.jsonl", encoding: .utf8)
      #expect(log.contains("\"step\":5") && log.contains("\"rank\":1") && log.split(separator: "\n").count == 1)
      #expect(try playground.curve("skippedSteps", of: playground.run("skipped")) == [0, 0, 0, 0, 1, 1])

      let rolledBack = try playground.train("back", ["nan:1:5", "run.faults.nonFinite=rollback"])
      #expect(rolledBack.status == 0, "\(rolledBack)")
      #expect(rolledBack.occurrences(of: "going back to the newest checkpoint") == 1)
      #expect(rolledBack.standardOutput.contains("after step 3"))
      // Steps 4 and 6 were done from the same weights in both, step 5 in neither.
      #expect(try playground.bytes(of: playground.run("back")) == playground.bytes(of: playground.run("skipped")))
      try playground.remove()
    }

    @Test func notANumberStopsTheRunWhereItShould() throws {
      let playground = try TrainingPlayground()
      let stopped = try playground.train("run", ["nan:0:5", "run.faults.nonFinite=stop"])
      #expect(stopped.status == 70, "\(stopped)")
      #expect(stopped.occurrences(of: "the loss is not finite on samples") == 1, "\(stopped)")
      // The weights were not touched: the next start, on a machine without the fault, is undisturbed.
      #expect(try playground.train("run").status == 0)
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test func aFullDiskOnOneRankEndsTheJobAndKeepsTheCheckpointBefore() throws {
      let playground = try TrainingPlayground()
      #expect(try playground.train("run", ["run.steps=3"]).status == 0)
      let full = try playground.train("run", ["full:1:20000"])
      #expect(full.status == 74, "\(full)")
      #expect(full.occurrences(of: "saving the checkpoint of step 6") == 1, "\(full)")
      #expect(full.standardError.contains("rank 1 ("))
      #expect(full.standardError.contains("write failed: File too large"))
      #expect(try playground.train("run").status == 0)
      try playground.expectUndisturbed("run")
      try playground.remove()
    }

    @Test func twoJobsInOneRunDirectoryRefuse() throws {
      let playground = try TrainingPlayground()
      let first = try playground.start("run", ["run.steps=100000", "run.checkpointEvery=100000"])
      let ranks = try identifiers(first)
      _ = try first.line(after: "step: 1")
      let second = try playground.train("run")
      #expect(second.status == 64, "\(second)")
      #expect(second.occurrences(of: "trains in this run directory since") == 1, "\(second)")
      #expect(second.standardError.contains("process \(ranks[0]) on this host"))
      first.signal(ranks[0], SIGTERM)
      #expect(try first.wait().status == 0)
      try playground.remove()
    }
  }
}
