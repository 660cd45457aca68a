import Foundation
import Testing

/// Tests that start jobs. One at a time: a job may take all cores.
@Suite(.serialized, .timeLimit(.minutes(10)))
enum RankTests {}

/// Whether a process is still there, and not only a dead one nobody has asked for its status.
func isRunning(_ identifier: Int32) -> Bool {
  guard let status = FileManager.default.contents(atPath: "/proc/\(identifier)/status") else { return false }
  return !String(decoding: status, as: UTF8.self).contains("State:\tZ")
}

extension RankTests {
  @Suite struct Faults {
    @Test(arguments: [0, 1])
    func aKilledRankEndsTheWholeJob(victim: Int) throws {
      let job = try MPIRun("rank-checks", ["wait"], rankCount: 2)
      let identifiers = try job.line(after: "pids: ").split(separator: " ").compactMap { Int32($0) }
      try #require(identifiers.count == 2)
      job.signal(identifiers[victim])
      let outcome = try job.wait()
      #expect(outcome.status != 0)
      #expect(outcome.duration < .seconds(10))
      for identifier in identifiers { #expect(!isRunning(identifier), "rank \(identifier) is left behind") }
    }

    @Test func anErrorOfOneRankEndsTheOthersWithItsMessageAndStatus() throws {
      let outcome = try MPIRun.run("rank-checks", ["throw", "1"], rankCount: 3)
      #expect(outcome.status == 65)
      #expect(outcome.occurrences(of: "the disk is on fire") == 1)
      #expect(outcome.standardError.contains("rank 1 ("))
    }

    @Test func aRankThatCallsAnotherOperationIsNamed() throws {
      let outcome = try MPIRun.run("rank-checks", ["differ", "2"], rankCount: 3)
      #expect(outcome.status == 75)
      #expect(
        outcome.standardError.contains(
          "call 2 failed: the ranks differ: allReduce(1 × Float, .sum) on rank 0, 1; barrier on rank 2"), "\(outcome)")
    }

    @Test func aStepThatFailsOnOneRankEndsAllAlike() throws {
      let outcome = try MPIRun.run("rank-checks", ["agree", "1"], rankCount: 3)
      #expect(outcome.status == 65)
      #expect(outcome.occurrences(of: "reading the data: the disk is on fire") == 1)
    }
  }
}
