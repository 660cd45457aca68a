import Foundation
import Testing

/// Kills at random times over a whole run. Takes minutes, so it runs only when asked for:
/// `MERGEVQ_SOAK_KILLS=30 Launch/test --filter SoakTests`.
@Suite(
  .serialized, .timeLimit(.minutes(30)), .enabled(if: ProcessInfo.processInfo.environment["MERGEVQ_SOAK_KILLS"] != nil))
struct SoakTests {
  /// Names in a folder that jobs leave things in.
  private func leftovers() throws -> Set<String> {
    let shared = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm")
    let temporary = try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path)
    return Set(shared + temporary.filter { $0.hasPrefix("ompi") || $0.hasPrefix("supervised-") })
  }

  @Test func aRunSurvivesKillsAtRandomTimes() throws {
    let kills = Int(ProcessInfo.processInfo.environment["MERGEVQ_SOAK_KILLS"] ?? "") ?? 30
    let playground = try TrainingPlayground()
    let before = try leftovers()
    let settings = [
      "run.steps=\(kills * 40)", "run.checkpointEvery=5", "run.logEvery=1", "run.faults.heartbeatSeconds=0.2",
      "run.faults.stallSeconds=5",
    ]
    let run = try SupervisedRun(
      playground, "run", options: ["--ranks", "2", "--restart-limit", "\(kills)"] + SupervisedRun.local,
      settings: settings)
    var seen: Set<Int32> = []
    var killed = 0
    var random = SystemRandomNumberGenerator()
    while killed < kills {
      // A new start has other processes; it is left alone for a while, so that some starts get far and some do not.
      try run.wait("new ranks", timeout: .seconds(60)) {
        let ranks = run.processes()
        return ranks.count == 2 && ranks.allSatisfy { !seen.contains($0) }
      }
      let ranks = run.processes()
      usleep(UInt32.random(in: 0...1_500_000, using: &random))
      guard run.job.isRunning else { break }
      // A rank, all ranks, or a rank that is only stopped.
      switch Int.random(in: 0..<6, using: &random) {
      case 0: for rank in ranks { run.job.signal(rank) }
      case 1: run.job.signal(ranks[killed % 2], SIGSTOP)
      default: run.job.signal(ranks[Int.random(in: 0..<2, using: &random)])
      }
      seen.formUnion(ranks)
      killed += 1
    }
    let outcome = try run.job.wait(timeout: .seconds(1200))
    #expect(outcome.status == 0, "\(outcome.standardError)")
    #expect(killed == kills, "the run was over after \(killed) kills")
    for identifier in seen { #expect(!isRunning(identifier)) }
    #expect(try leftovers() == before)

    let straight = try MPIRun.run(
      "rank-checks", ["train", playground.recipe, playground.run("straight")] + settings, rankCount: 2,
      timeout: .seconds(1200))
    #expect(straight.status == 0)
    let step = kills * 40
    #expect(
      try playground.bytes(of: run.directory, step: step)
        == playground.bytes(of: playground.run("straight"), step: step))
    #expect(try playground.curve("loss", of: run.directory) == playground.curve("loss", of: playground.run("straight")))
    print("soak: \(killed) kills in \(outcome.duration)")
    try playground.remove()
  }
}
