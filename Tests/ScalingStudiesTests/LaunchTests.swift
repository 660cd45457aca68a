import Foundation
import Scaling
import Testing

@testable import ScalingStudies
@testable import Training

struct LaunchTests {
  private static let networks = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Cluster/networks").standardized.path

  private func settings(_ ranks: [Int]) -> StudyRunner.Settings {
    StudyRunner.Settings(
      recipe: "r.yaml", ranks: ranks, batch: 8, coresPerMachine: 2, program: "/bin/mergevq", folder: "out")
  }

  @Test func aStartMeasuresEveryRankAndLeavesNothing() throws {
    var settings = settings([2])
    settings.overrides = ["data.train=x"]
    let runner = try StudyRunner(settings)
    let setting = Study.Setting(shape: runner.shape(worldSize: 2), globalBatch: 16, network: nil)
    let command = runner.command(of: setting, directory: "out/run")
    #expect(command.prefix(5) == ["mpirun", "-n", "2", "/bin/mergevq", "tokenizer"])
    let overrides = ["data.train=x", "batch.global=16", "run.logRanks=true", "run.checkpointEvery=0"]
    for override in overrides + ["run.pictures=false"] {
      #expect(command.contains(override))
    }
    #expect(command.firstIndex(of: "--stop-after").map { command[$0 + 1] } == "13")
  }

  @Test func moreRanksThanCoresMustBeAllowed() throws {
    let runner = try StudyRunner(settings([4]))
    let setting = Study.Setting(shape: runner.shape(worldSize: 4), globalBatch: 32, network: nil)
    #expect(runner.command(of: setting, directory: "out/run").contains("--oversubscribe"))
    #expect(runner.shape(worldSize: 4).oversubscription == 2)
  }

  @Test func batchesFollowTheMode() throws {
    var settings = settings([1, 4])
    #expect(try StudyRunner(settings).globalBatch(worldSize: 4) == 32)
    settings.mode = .strong
    #expect(try StudyRunner(settings).globalBatch(worldSize: 4) == 8)
  }

  @Test func hostsTellHowRanksLie() throws {
    let path = NSTemporaryDirectory() + "hosts-\(UUID().uuidString)"
    defer { unlink(path) }
    try write(text: "a slots=2\nb slots=2\n", to: path)
    var settings = settings([1, 3])
    settings.hostFile = path
    #expect(try StudyRunner(settings).shape(worldSize: 3).nodeCount == 2)
    settings.sharesMachine = true
    #expect(try StudyRunner(settings).shape(worldSize: 3).oversubscription == 1.5)
    settings.ranks = [5]
    let error = #expect(throws: ConfigError.self) { try StudyRunner(settings) }
    #expect(error?.problem == "has slots for 4 ranks, but 5 are to be started")
  }

  @Test func aRankHasACoreForEachOfItsThreads() throws {
    var settings = settings([1, 2])
    func mapping(_ ranks: Int) throws -> [String] {
      let runner = try StudyRunner(settings)
      let setting = Study.Setting(shape: runner.shape(worldSize: ranks), globalBatch: 8, network: nil)
      return Array(runner.command(of: setting, directory: "out/run").dropFirst(3).prefix { $0 != "/bin/mergevq" })
    }
    settings.threads = 2
    #expect(try mapping(1) == ["--map-by", "slot:PE=2"])
    // More threads than the two cores.
    #expect(try mapping(2) == ["--bind-to", "none"])
    settings.ranksPerNode = 4
    #expect(try mapping(2) == ["--map-by", "ppr:4:node:PE=2"])
    settings.launcherArguments = ["--map-by", "numa"]
    #expect(try mapping(2) == ["--map-by", "numa"])
  }

  @Test func allNetworkProfilesCanBeUsed() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.networks).sorted()
    #expect(names.count >= 7)
    for name in names {
      let network = try NetworkProfile.resolve(path: Self.networks + "/" + name).network
      #expect(network.latency > 0 && network.latency < 1e-3 && network.bytesPerSecond > 1e8, "\(name)")
    }
    let gigabit = try NetworkProfile.resolve(path: Self.networks + "/ethernet-1.yaml").network
    #expect(abs(gigabit.bytesPerSecond - 117.5e6) < 1)
    #expect(abs(gigabit.latency - 24e-6) < 1e-12)
  }

  @Test func aMeasuredNetworkMakesAProfile() throws {
    let network = Network(name: "mine", latency: 3e-5, overhead: 1e-6, bytesPerSecond: 2.5e8)
    let read = try NetworkProfile.resolve(yaml: NetworkProfile(network).resolvedYAML(), named: "x").network
    #expect(abs(read.latency / network.latency - 1) < 1e-12 && abs(read.overhead / network.overhead - 1) < 1e-12)
    #expect(abs(read.bytesPerSecond / network.bytesPerSecond - 1) < 1e-12 && read.name == "mine")
  }

  @Test func aNetworkWithoutLatencyIsRefused() {
    let error = #expect(throws: ConfigError.self) {
      try NetworkProfile.resolve(yaml: "{name: x, gigabitsPerSecond: 1}", named: "x")
    }
    #expect(error?.key == "latencyMicroseconds")
  }

  @Test func predictionsAreTabledByNetwork() {
    let model = StepModel(
      secondsPerOperation: 1e-9, secondsPerUpdateByte: 0, contention: 0, imbalance: 0, dataSecondsPerSample: 0,
      secondsPerNodeByte: 0)
    let slow = Network(name: "slow", latency: 0, overhead: 0, bytesPerSecond: 1e6)
    let shapes = [1, 2, 4].map { JobShape(worldSize: $0, ranksPerNode: 1, coresPerMachine: 1) }
    let curve = ScalingCurve(
      ScalingCurve.Question(
        work: StepWork(operationsPerSample: 1e9, parameterCount: 1_000_000, statisticsBytes: 0), mode: .weak, batch: 16,
        sampleCount: 1e5, network: slow,
        failures: FailureModel(nodeMeanTime: 1e8, checkpointSeconds: 1, restartSeconds: 1)), by: model, shapes: shapes)
    let report = PredictionReport(
      title: "t", predictions: [.init(network: slow, curve: curve)], efficiencyLimit: 0.75)
    #expect(report.csv.split(separator: "\n").count == 4)
    // 16 s of computing and 4 s of exchange on two nodes, 6 s on four.
    #expect(report.summary.contains("| slow | 2 | 2 | 20.0 | 20.0 % | 1.60 |"), "\(report.summary)")
    #expect(report.plot.panels.count == 4)
  }
}

extension RankFacts {
  static let ofTests = RankFacts(
    rank: 0, host: "h", cpuModel: "c", vectorLevel: "x86-64-v3", coreBefore: "Zen", coreAfter: "Zen", suitableCore: nil,
    isCoreForced: false, singleThreadGFLOPS: 1, gflops: 1, threadCount: 1, cpus: [0], onlineCPUCount: 1,
    availableMemory: nil, sharedMemory: nil, libraries: [], codecTrouble: nil)
}
