import Foundation
import Scaling
import Testing
import Training

@testable import ScalingStudies

struct StudyTests {
  @Test func aStepIsDividedIntoPartsThatAddUp() {
    // The second rank is the slowest, and waits for nobody: 0.1 s of communication.
    let ranks = [
      StepTimes(work: 1, data: 0.25, communication: 0.85), StepTimes(work: 2, data: 0, communication: 0.1),
    ]
    let parts = Study.Setting.breakdown(of: ranks)
    #expect(parts.compute == 1.5 && parts.data == 0.125)
    #expect(abs(parts.imbalance - 0.375) < 1e-12)
    #expect(abs(parts.communication - 0.1) < 1e-12)
    #expect(abs(parts.total - 2.1) < 1e-12)
  }

  @Test func theVarianceIsThatWithinSteps() throws {
    // Steps differ by far more than ranks within one: only the latter counts.
    let steps = [1.0, 10].map { size in
      [0.9, 1.1].map { StepTimes(work: $0 * size, data: 0, communication: 0) }
    }
    #expect(abs(try #require(setting(2, runs: [steps]).relativeVariance) - 0.02) < 1e-12)
    #expect(setting(1, runs: [steps.map { [$0[0]] }]).relativeVariance == nil)
  }

  @Test func everyStartCountsOnceInTheInterval() {
    let start: (Double) -> [[StepTimes]] = { seconds in
      (0..<50).map { _ in [StepTimes(work: seconds, data: 0, communication: 0)] }
    }
    let estimate = setting(1, runs: [start(1), start(3)]).stepSeconds
    #expect(abs(estimate.mean - 2) < 1e-12)
    #expect(abs(estimate.halfWidth - 12.7062) < 1e-3)
  }

  @Test func studiesOfOneTrainingAreJoined() throws {
    let one = study([setting(1, runs: [[], []]), setting(4, runs: [[]])])
    let other = study([setting(2, runs: [[]]), setting(1, runs: [[]])])
    let joined = try Study(joining: [one, other], named: ["a", "b"])
    #expect(joined.settings.map(\.shape.worldSize) == [1, 2, 4])
    #expect(joined.settings.map(\.runs.count) == [3, 1, 1])
    var strong = other
    strong.mode = .strong
    #expect(throws: ConfigError.self) { try Study(joining: [one, strong], named: ["a", "b"]) }
  }

  @Test func filesReadBackAndOthersAreRefused() throws {
    let path = NSTemporaryDirectory() + "study-\(UUID().uuidString).json"
    defer { unlink(path) }
    let study = study([setting(2, runs: [[[StepTimes(work: 1, data: 0, communication: 0.1)]]])])
    try study.write(to: path)
    #expect(try Study(path: path) == study)
    #expect(throws: ConfigError.self) { try FittedModel(path: path) }
    var newer = study
    newer.format = 2
    try newer.write(to: path)
    let error = #expect(throws: ConfigError.self) { try Study(path: path) }
    #expect(error?.problem == "has format 2; this program reads format 1")
    #expect(throws: ConfigError.self) { try Study(path: path + ".no") }
  }

  @Test func theReportTellsEfficiencyRankByRank() {
    let seconds: (Double, Int) -> [[[StepTimes]]] = { seconds, ranks in
      [[[StepTimes](repeating: StepTimes(work: seconds, data: 0, communication: 0), count: ranks)]]
    }
    let report = StudyReport(study([setting(1, runs: seconds(1, 1)), setting(2, runs: seconds(1.25, 2))]))
    let lines = report.csv.split(separator: "\n")
    #expect(lines[1] == "1,1,,8,1,1,inf,8,1,1,0,0,0")
    #expect(lines[2] == "2,1,,16,1,1.25,inf,12.8,0.8,1.25,0,0,0")
    #expect(report.markdown.contains("| 2 | 1 | 16 | 1.25 | 12.8 | 80.0 % | 100.0 % | 0.0 % | 0.0 % | 0.0 % |"))
    #expect(report.plot.panels.map(\.title) == ["throughput", "efficiency", "parts of a step"])
  }

  @Test func aCheckComparesWithTheModel() throws {
    let model = StepModel(
      secondsPerOperation: 1e-9, secondsPerUpdateByte: 0, contention: 0, imbalance: 0, dataSecondsPerSample: 0,
      secondsPerNodeByte: 0)
    let measured = study([setting(1, runs: [[[StepTimes(work: 10, data: 0, communication: 0)]]])])
    // Eight samples of 1 GFLOP: 8 s predicted, 10 s measured.
    let check = try ModelCheck(model, studies: [measured], named: ["a"])
    #expect(abs(check.meanError - 0.2) < 1e-12)
    #expect(check.markdown.contains("| 10.0 | 8.00 | 0.0 % | -20.0 % |"))
    var apart = setting(2, runs: [[[StepTimes](repeating: StepTimes(work: 1, data: 0, communication: 0), count: 2)]])
    apart.shape.ranksPerNode = 1
    #expect(throws: ConfigError.self) { try ModelCheck(model, studies: [study([apart])], named: ["a"]) }
  }

  @Test func aModelNamesEqualStudiesOnce() throws {
    let weak = study([setting(1, runs: [[[StepTimes(work: 10, data: 0, communication: 0)]]])])
    var strong = weak
    strong.mode = .strong
    let model = try FittedModel(fitting: [weak, strong, weak])
    #expect(model.fittedOn == ["r, weak, 1 ranks", "r, strong, 1 ranks"])
  }

  @Test(arguments: [(0.0, "0"), (1234.5, "1234"), (12.345, "12.3"), (1.2345, "1.23"), (0.012345, "0.0123")])
  func numbersHaveThreeDigits(value: Double, text: String) { #expect(number(value) == text) }

  private func setting(_ ranks: Int, runs: [[[StepTimes]]]) -> Study.Setting {
    Study.Setting(
      shape: JobShape(worldSize: ranks, ranksPerNode: ranks, coresPerMachine: 2), globalBatch: 8 * ranks, network: nil,
      runs: runs)
  }

  private func study(_ settings: [Study.Setting]) -> Study {
    Study(
      recipe: "r", overrides: [], mode: .weak, machine: .ofTests,
      work: StepWork(operationsPerSample: 1e9, parameterCount: 1000, statisticsBytes: 0), warmupSteps: 1,
      settings: settings)
  }
}
