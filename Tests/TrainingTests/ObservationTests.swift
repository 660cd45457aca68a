import Collectives
import Foundation
import Testing

@testable import Training

struct TraceTests {
  @Test func clocksOfDifferentOriginsAreAlignedWithinTheirUncertainty() throws {
    let offsets = try LoopbackWorld.run(worldSize: 3) { communicator in
      let origin = ContinuousClock.now
      // Ranks whose clocks are hours apart.
      let shift = 5000.0 * Double(communicator.rank)
      return try ClockOffsets.measure(communicator) { (ContinuousClock.now - origin) / .seconds(1) + shift }
    }
    #expect(offsets.allSatisfy { $0 == offsets[0] })
    for (rank, offset) in offsets[0].enumerated() {
      // The origins are the starts of the threads, so the truth lies near the shift.
      #expect(abs(offset.seconds - 5000 * Double(rank)) < 60)
      #expect(offset.uncertainty >= 0 && offset.uncertainty < 60)
    }
  }

  @Test func onlyChosenStepsAreNotedAndInnerSpansStayInside() throws {
    let timeline = StepTimeline(steps: [2])
    for step in 1...3 {
      let before = ContinuousClock.now
      timeline.begin(step: step)
      timeline.enter("forward")
      let start = ContinuousClock.now
      usleep(1000)
      timeline.note("allReduce of 3 values", on: .training, from: start, to: .now)
      timeline.note("began before the step", on: .training, from: before - .seconds(1), to: .now)
      timeline.enter("backward")
      timeline.endStep()
    }
    #expect(timeline.spans.map(\.name) == ["allReduce of 3 values", "forward", "backward", "step 2"])

    // The other rank's clock is an hour ahead; on one time line both do the same at the same time.
    let ahead = timeline.spans.map {
      StepTimeline.Span(name: $0.name, thread: $0.thread, start: $0.start + 3600, end: $0.end + 3600)
    }
    let trace = ChromeTrace(
      timelines: [timeline.spans, ahead], hosts: ["a", "b"],
      offsets: [.init(seconds: 0, uncertainty: 0), .init(seconds: 3600, uncertainty: 1e-5)])
    let json = try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode(trace)) as? [String: Any])
    let events = try #require(json["traceEvents"] as? [[String: Any]]).filter { $0["ph"] as? String == "X" }
    #expect(events.count == 8)
    func times(_ rank: Int) -> [[Double]] {
      events.filter { $0["pid"] as? Int == rank }.map { [$0["ts"] as? Double ?? .nan, $0["dur"] as? Double ?? .nan] }
    }
    #expect(times(0)[0][0] == 0)
    for (first, second) in zip(times(0), times(1)) {
      // Seconds around 3600 in a double are exact to a nanosecond or so.
      #expect(abs(first[0] - second[0]) <= 0.002 && abs(first[1] - second[1]) <= 0.002)
    }
    for rank in 0..<2 {
      let step = times(rank)[0]
      for span in times(rank) { #expect(span[0] >= step[0] && span[0] + span[1] <= step[0] + step[1] + 1e-6) }
    }
  }
}

struct PictureHistoryTests {
  @Test func aLongRunKeepsFewPicturesWithItsFirstAndItsNewest() throws {
    try withTemporaryFolder { folder in
      let history = PictureHistory(RunDirectory(path: folder), .reconstructions)
      for step in 1...100 { try history.keep([UInt8(step)], step: step) }
      let steps = history.pictures().map(\.step)
      #expect(steps.first == 1 && steps.last == 100)
      #expect(steps.count <= PictureHistory.capacity)
      #expect(steps.count > PictureHistory.capacity / 2)
    }
  }

  @Test func aRunThatWentBackForgetsThePicturesOfLaterSteps() throws {
    try withTemporaryFolder { folder in
      let history = PictureHistory(RunDirectory(path: folder), .reconstructions)
      for step in [10, 20, 30] { try history.keep([1], step: step) }
      try history.keep([2], step: 20)
      #expect(history.pictures().map(\.step) == [10, 20])
      #expect(FileManager.default.contents(atPath: history.pictures()[1].path) == Data([2]))
    }
  }
}

struct RunReportTests {
  @Test func aPageHoldsCurvesPicturesRanksRestartsAndConfigurationAndNothingFromElsewhere() throws {
    try withFinishedRun { directory in
      let html = try String(contentsOfFile: RunReport(directory).write(), encoding: .utf8)
      #expect(html.contains("<h1>&lt;tiny&gt;</h1>"))
      #expect(html.contains("<li>resumed after step 20</li>"))
      #expect(html.contains("after step 10</figcaption><img"))
      #expect(html.contains("data:image/jpeg;base64,AQID"))
      #expect(html.contains("validation 0.25"))
      #expect(html.contains("<td>node-7</td>"))
      #expect(!html.contains("http"))
      #expect(html.components(separatedBy: "<section>").count == html.components(separatedBy: "</section>").count)
    }
  }

  @Test func aRunWithoutMetricsIsRefusedByName() throws {
    try withTemporaryFolder { folder in
      let error = #expect(throws: RunDirectoryError.self) { try RunReport(RunDirectory(path: folder)) }
      #expect(error?.path == folder + "/metrics.jsonl")
    }
  }

  @Test func thinnedCurvesKeepTheirPeaks() {
    let points = (0..<100_000).map { SIMD2(Double($0), $0 == 54_321 ? 1e6 : Double($0 % 7)) }
    let thinned = CurveChart.thinned(points)
    #expect(thinned.count <= 1000)
    #expect(thinned.contains(SIMD2(54_321, 1e6)))
    #expect(thinned.map(\.x) == thinned.map(\.x).sorted())
  }
}

struct RunWatchTests {
  @Test func aFrameShowsProgressRatesValidationAndRanks() throws {
    try withFinishedRun { directory in
      var watch = RunWatch(directory.path, width: 200)
      let frame = try watch.frame()
      #expect(frame.hasEnded)
      #expect(frame.text.contains("step 30/40  ███████████████░░░░░ 75 %  ended"))
      #expect(
        frame.text.contains("41.0 images/s | 50 GFLOPS (25 % of peak) | waits: data 10.0 %, communication 20.0 %"))
      #expect(frame.text.contains("validation after step 30: loss 0.25"))
      #expect(frame.text.contains("node-7"))
    }
  }

  @Test func aRankWhoseHeartbeatStandsStillIsCalledSilent() throws {
    try withFinishedRun { directory in
      var beat = try #require(directory.heartbeat(rank: 0))
      beat.activity = "reading data"
      try directory.write(beat)
      var watch = RunWatch(directory.path, width: 200)
      let start = ContinuousClock.now
      let first = try watch.frame(now: start).text
      #expect(!first.contains("silent"))
      let second = try watch.frame(now: start + .seconds(40)).text
      #expect(second.contains("silent: rank 0 for 40 s"))
      beat.beat += 1
      try directory.write(beat)
      let third = try watch.frame(now: start + .seconds(50)).text
      #expect(!third.contains("silent"))
    }
  }

  @Test func aRunThatWasNotStartedIsNotShown() throws {
    var watch = RunWatch("/nowhere/run")
    #expect(throws: ConfigError.self) { try watch.frame() }
  }

  @Test func aSparklineHasTheNewestValueAtTheRightAndMeansWhereColumnsAreFew() {
    #expect(RunWatch.sparkline([0, 1, 2, 3, 4, 5, 6, 7], columns: 8) == "▁▂▃▄▅▆▇█")
    #expect(RunWatch.sparkline([0, 0, 8, 8], columns: 2) == "▁█")
    #expect(RunWatch.sparkline([1, .nan, 2], columns: 8) == "▁ █")
    #expect(RunWatch.sparkline([], columns: 8) == "")
  }
}

/// A run directory as a resumed run of one rank leaves it.
private func withFinishedRun(_ body: (RunDirectory) throws -> Void) throws {
  try withTemporaryFolder { folder in
    let directory = RunDirectory(path: folder)
    try directory.write(resolvedRecipe: "name: <tiny>\nrun:\n  steps: 40\n")
    let log = try MetricsLog(directory, resumingAt: 0)
    for step in [10, 20, 30] {
      try log.append(
        MetricsRecord(
          step: step, kind: .train,
          values: [
            "loss": 10 / Double(step), "imagesPerSecond": 41, "gflops": 50, "peakGFLOPS": 200, "peakShare": 0.25,
            "workSecondsMedian": 0.7, "dataSecondsMedian": 0.1, "communicationSecondsMedian": 0.2,
          ]))
      if step == 20 { try log.append(MetricsRecord(step: 20, kind: .resume, values: [:])) }
    }
    try log.append(MetricsRecord(step: 30, kind: .validation, values: ["loss": 0.25]))
    try PictureHistory(directory, .reconstructions).keep([1, 2, 3], step: 10)
    try directory.clearHeartbeats()
    var beat = Heartbeat(rank: 0, worldSize: 1, host: "node-7", processIdentifier: 1)
    beat.step = 30
    beat.totalSteps = 40
    beat.activity = "ended"
    try directory.write(beat)
    try body(directory)
  }
}
