import Collectives
import Foundation
import Testing

@testable import Training

struct StallReportTests {
  /// Rank 0 has begun its 40th operation and waits.
  private func beat(_ rank: Int, calls: Int, operation: String?, activity: String = "reducing gradients") -> Heartbeat {
    var beat = Heartbeat(rank: rank, worldSize: 4, host: "node\(rank / 2)", processIdentifier: Int32(100 + rank))
    beat.step = 12
    beat.callCount = calls
    beat.operation = operation
    beat.activity = activity
    beat.time = "2031-02-03T04:05:06Z"
    return beat
  }

  private func report(_ observations: [StallReport.Observation], own: Int = 0) -> StallReport {
    let heartbeat = observations[own].heartbeat ?? beat(own, calls: 40, operation: "barrier")
    return StallReport(observations, own: heartbeat, limit: 60)
  }

  private func observed(_ heartbeat: Heartbeat, isBeating: Bool = true) -> StallReport.Observation {
    .init(rank: heartbeat.rank, heartbeat: heartbeat, isBeating: isBeating)
  }

  @Test func aRankThatHasNotComeToTheOperationIsMissing() {
    let report = report([
      observed(beat(0, calls: 40, operation: "barrier")), observed(beat(1, calls: 40, operation: "barrier")),
      observed(beat(2, calls: 39, operation: nil, activity: "forward and backward")),
      observed(beat(3, calls: 40, operation: "barrier")),
    ])
    #expect(report.reporter == 0)
    let text = report.text
    #expect(text.contains("step 13: rank 2 (node1) is missing: barrier has waited longer than"))
    #expect(text.contains("ranks 0–1: node0, after step 12, reducing gradients, waiting in barrier"))
    #expect(text.contains("rank 2: node1, after step 12, forward and backward; at work"))
  }

  @Test func aSilentRankIsMissingWhereverItWasAndWhateverItsClockSays() {
    let report = report(
      [
        observed(beat(0, calls: 40, operation: "barrier"), isBeating: false),
        observed(beat(1, calls: 40, operation: "barrier")), observed(beat(2, calls: 40, operation: "barrier")),
        .init(rank: 3, heartbeat: nil, isBeating: false),
      ], own: 1)
    #expect(report.reporter == 1)
    #expect(report.text.contains("ranks 0 (node0), 3 are missing"))
    #expect(report.text.contains("silent since 2031-02-03T04:05:06Z (its clock)"))
    #expect(report.text.contains("rank 3: has never written a heartbeat"))
  }

  @Test func ranksAreListedInRuns() {
    #expect(rankList([0, 1, 2, 5, 7, 8]) == "0–2, 5, 7–8")
    #expect(rankList([3]) == "3")
    #expect(rankList([]).isEmpty)
  }
}

struct StragglerReportTests {
  private func times(_ work: [Double], data: Double = 0.1) -> [StepTimes] {
    work.map { StepTimes(work: $0, data: data, communication: 2 - $0) }
  }

  @Test func theSpreadAndTheSlowHostAreNamed() {
    let report = StragglerReport(times: times([1, 1.1, 1.9, 1.5]), hosts: ["a", "a", "b", "b"])
    let values = Dictionary(report.values.map { ($0.name, $0.value) }) { $1 }
    #expect(values["workSecondsMin"] == 1)
    #expect(values["workSecondsMedian"] == 1.1)
    #expect(values["workSecondsMax"] == 1.9)
    #expect(values["slowestRank"] == 2)
    #expect(report.slowHosts.map(\.host) == ["b"])
    #expect(report.message()?.hasPrefix("slow hosts: b (rank 2: 2.0 s); the median rank takes 1.2 s") == true)
  }

  @Test func equalRanksGiveNoMessage() {
    #expect(StragglerReport(times: times([1, 1.1, 1.2]), hosts: ["a", "b", "c"]).message() == nil)
    #expect(StragglerReport(times: [], hosts: []).message() == nil)
  }

  @Test func waitingForImagesMakesAHostSlowToo() {
    var all = times([1, 1, 1])
    all[1].data = 3
    #expect(StragglerReport(times: all, hosts: ["a", "b", "c"]).slowHosts.map(\.host) == ["b"])
  }
}

struct RankMonitorTests {
  @Test func aHeartbeatTellsStepActivityAndOperation() throws {
    try withTemporaryFolder { folder in
      let directory = RunDirectory(path: folder)
      var config = FaultConfig()
      config.heartbeatSeconds = 0.05
      let monitor = try RankMonitor(
        SingleCommunicator(), trace: CommunicationTrace(), directory: directory, config: config,
        alarm: { _ in })
      monitor.enter("validating")
      monitor.completed(step: 7)
      let first = try #require(directory.heartbeat(rank: 0))
      let deadline = ContinuousClock.now + .seconds(10)
      while directory.heartbeat(rank: 0)?.step != 7 && ContinuousClock.now < deadline { usleep(10_000) }
      let second = try #require(directory.heartbeat(rank: 0))
      #expect(second.beat > first.beat)
      #expect(second.activity == "validating")
      #expect(second.place == "validating")
      #expect(second.host == ProcessInfo.processInfo.hostName)
      #expect(try RunStatus(folder).text.contains("validating"))
      monitor.stop()
    }
  }

  @Test func theHeartbeatsOfAnEarlierJobAreCleared() throws {
    try withTemporaryFolder { folder in
      let directory = RunDirectory(path: folder)
      try directory.clearHeartbeats()
      try directory.write(Heartbeat(rank: 5, worldSize: 6, host: "gone", processIdentifier: 1))
      try directory.clearHeartbeats()
      #expect(directory.heartbeat(rank: 5) == nil)
    }
  }

  @Test func aRunThatWasNeverStartedHasNoStatus() throws {
    try withTemporaryFolder { folder in
      let error = #expect(throws: ConfigError.self) { try RunStatus(folder) }
      #expect(error?.description.contains("holds no heartbeats") == true)
    }
  }
}

struct RollbacksTests {
  @Test func rollbacksToOneCheckpointAreLimited() throws {
    var rollbacks = Rollbacks(limit: 2)
    try rollbacks.note(step: 7, start: 5)
    try rollbacks.note(step: 8, start: 5)
    #expect(rollbacks.excludedSteps == [7, 8])
    #expect(throws: TrainingError.self) { try rollbacks.note(step: 9, start: 5) }
  }

  @Test func aNewCheckpointBetweenThemStartsTheCountAnew() throws {
    var rollbacks = Rollbacks(limit: 1)
    try rollbacks.note(step: 7, start: 5)
    try rollbacks.note(step: 12, start: 10)
    try rollbacks.note(step: 17, start: 15)
  }
}
