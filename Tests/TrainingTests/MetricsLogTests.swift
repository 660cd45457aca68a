import Foundation
import Testing

@testable import Training

struct MetricsLogTests {
  @Test func recordsReadBackAsTheyWereWritten() throws {
    try withRun { run in
      let records = [
        MetricsRecord(step: 10, kind: .train, values: ["loss": 0.1 + 0.2, "tiny": 2.5e-308, "lr": 1e-5, "n": -3]),
        MetricsRecord(step: 10, kind: .validation, values: ["odd \"name\"\n\\": 1e300]),
        MetricsRecord(step: 20, kind: .epoch, values: [:]),
      ]
      let log = try MetricsLog(run, resumingAt: 0)
      for record in records { try log.append(record) }
      let found = try MetricsLog.records(of: run)
      #expect(found == records)
    }
  }

  @Test func aRecordIsOneLineOfJSONInAFixedOrder() {
    let record = MetricsRecord(step: 3, kind: .train, values: ["loss": 0.5, "images": 2, "bad": .nan])
    #expect(record.line == #"{"step":3,"kind":"train","bad":null,"images":2.0,"loss":0.5}"#)
  }

  @Test func timesOfEveryRankReadBackByRank() throws {
    // More than ten ranks: their names do not sort as their numbers do.
    let times = (0..<12).map { StepTimes(work: Double($0), data: 0.5, communication: 0.25) }
    let values = times.enumerated().flatMap { $1.values(ofRank: $0) }
    let record = MetricsRecord(step: 1, kind: .train, values: Dictionary(values.map { ($0, $1) }) { $1 })
    #expect(StepTimes.ofRanks(in: try MetricsRecord(line: record.line.utf8)) == times)
    #expect(StepTimes.ofRanks(in: MetricsRecord(step: 1, kind: .train, values: ["loss": 1])) == nil)
  }

  @Test func valuesThatAreNotFiniteReadBackAsNaN() throws {
    let record = try MetricsRecord(line: MetricsRecord(step: 1, kind: .train, values: ["x": .infinity]).line.utf8)
    #expect(record.values["x"]?.isNaN == true)
  }

  @Test func aResumedRunContinuesTheCurveOfItsCheckpoint() throws {
    try withRun { run in
      let first = try MetricsLog(run, resumingAt: 0)
      for step in 1...6 { try first.append(MetricsRecord(step: step, kind: .train, values: ["loss": Double(step)])) }
      let second = try MetricsLog(run, resumingAt: 4)
      try second.append(MetricsRecord(step: 5, kind: .train, values: ["loss": 50]))
      let records = try MetricsLog.records(of: run)
      #expect(records.map(\.step) == [1, 2, 3, 4, 5])
      #expect(records.last?.values["loss"] == 50)
    }
  }

  @Test func aRunFromStepZeroStartsAnEmptyLog() throws {
    try withRun { run in
      try MetricsLog(run, resumingAt: 0).append(MetricsRecord(step: 1, kind: .train, values: [:]))
      _ = try MetricsLog(run, resumingAt: 0)
      #expect(try MetricsLog.records(of: run).isEmpty)
    }
  }

  @Test func aLineThatACrashCutOffIsDropped() throws {
    try withRun { run in
      let whole = MetricsRecord(step: 1, kind: .train, values: ["loss": 1])
      try "\(whole.line)\n{\"step\":2,\"ki".write(toFile: run.metricsPath, atomically: false, encoding: .utf8)
      #expect(try MetricsLog.records(of: run) == [whole])
      let log = try MetricsLog(run, resumingAt: 9)
      let next = MetricsRecord(step: 2, kind: .train, values: [:])
      try log.append(next)
      #expect(try MetricsLog.records(of: run) == [whole, next])
    }
  }

  @Test(arguments: [
    "hello", "[1]", #"{"kind":"train"}"#, #"{"step":1,"kind":"x"}"#, #"{"step":1,"kind":"train","a":"b"}"#,
  ])
  func aForeignLineIsNamed(line: String) throws {
    try withRun { run in
      let whole = MetricsRecord(step: 1, kind: .train, values: [:]).line
      try "\(whole)\n\(line)\n".write(toFile: run.metricsPath, atomically: false, encoding: .utf8)
      let error = #expect(throws: RunDirectoryError.self) { try MetricsLog(run, resumingAt: 5) }
      #expect(error?.description.hasPrefix("\(run.metricsPath):2: ") == true)
      #expect(try String(contentsOfFile: run.metricsPath, encoding: .utf8) == "\(whole)\n\(line)\n")
    }
  }

  private func withRun(_ body: (RunDirectory) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let run = RunDirectory(path: folder + "/deep/run")
      try run.create()
      try body(run)
    }
  }
}
