import Foundation
import Testing

/// The supervisor with real ranks on this host.
extension RankTests {
  @Suite struct Supervision {
    @Test func afterAKilledRankTheRunGoesOnByItself() throws {
      let playground = try TrainingPlayground()
      let run = try SupervisedRun(
        playground, "run", options: ["--ranks", "2"] + SupervisedRun.local, settings: ["run.steps=6"])
      try run.wait("a checkpoint") { try run.newestStep >= 3 }
      let victims = run.processes()
      try #require(victims.count == 2)
      run.job.signal(victims[1])
      let outcome = try run.job.wait()
      #expect(outcome.status == 0, "\(outcome)")
      try playground.expectUndisturbed("run")
      for victim in victims { #expect(!isRunning(victim)) }
      try playground.remove()
    }

    @Test func aSignalToTheSupervisorEndsTheRanksWithACheckpoint() throws {
      let playground = try TrainingPlayground()
      let run = try SupervisedRun(
        playground, "run", options: ["--ranks", "2"] + SupervisedRun.local,
        settings: ["run.steps=100000", "run.checkpointEvery=100000"])
      try run.wait("steps") { try run.job.standardOutput().contains(" 2/100000 ") }
      let ranks = run.processes()
      run.job.signalLauncher(SIGTERM)
      let outcome = try run.job.wait()
      #expect(outcome.status == 75, "\(outcome)")
      #expect(try run.newestStep >= 2)
      #expect(outcome.occurrences(of: "supervisor: stopping: asking the ranks for a checkpoint") == 1)
      for rank in ranks { #expect(!isRunning(rank)) }
      try playground.remove()
    }

    @Test func whatARestartCannotHelpEndsTheSupervision() throws {
      let playground = try TrainingPlayground()
      let run = try SupervisedRun(
        playground, "run", options: ["--ranks", "2"] + SupervisedRun.local, settings: ["data.train=/no/such/folder"])
      let outcome = try run.job.wait()
      #expect(outcome.status == 65, "\(outcome)")
      #expect(outcome.occurrences(of: "starting 2 ranks") == 1)
      try playground.remove()
    }

    @Test func failuresWithoutProgressAreLimited() throws {
      let playground = try TrainingPlayground()
      let run = try SupervisedRun(
        playground, "run", options: ["--ranks", "2", "--restart-limit", "2", "--mpirun=--no-such-option"], settings: [])
      let outcome = try run.job.wait()
      #expect(outcome.status == 75, "\(outcome)")
      #expect(outcome.occurrences(of: "starting 2 ranks") == 3)
      #expect(outcome.occurrences(of: "failed 3 times without a new checkpoint; giving up") == 1)
      try playground.remove()
    }

    @Test(arguments: [
      (["--", "doctor"], "'doctor' is not a training command"), ([], "give the training command after --"),
      (["--", "tokenizer", "train", "/no/recipe.yaml"], "/no/recipe.yaml"),
      (["--hosts", "/no/hosts", "--", "tokenizer", "train", "RECIPE"], "/no/hosts: the host list cannot be read"),
    ])
    func mistakesAreToldBeforeAnythingStarts(arguments: [String], message: String) throws {
      let playground = try TrainingPlayground()
      let outcome = try MPIRun(
        command: [MPIRun.product("mergevq"), "supervise"] + arguments.map { $0 == "RECIPE" ? playground.recipe : $0 }
      ).wait()
      #expect(outcome.status == 64, "\(outcome)")
      #expect(outcome.standardError.contains(message), "\(outcome)")
      try playground.remove()
    }
  }
}
