import Testing

@testable import Scaling

struct ScalingCurveTests {
  private let never = FailureModel(nodeMeanTime: 1e15, checkpointSeconds: 1e-9, restartSeconds: 0)
  private let free = Network(name: "free", latency: 0, overhead: 0, bytesPerSecond: .infinity)
  private let work = StepWork(operationsPerSample: 1e9, parameterCount: 1_000_000, statisticsBytes: 0)
  private var shapes: [JobShape] {
    [1, 2, 4, 8, 16].map { JobShape(worldSize: $0, ranksPerNode: 1, coresPerMachine: 1) }
  }

  private func model(imbalance: Double = 0) -> StepModel {
    StepModel(
      secondsPerOperation: 1e-9, secondsPerUpdateByte: 0, contention: 0, imbalance: imbalance,
      dataSecondsPerSample: 0, secondsPerNodeByte: 0)
  }

  private func question(_ mode: ScalingMode, batch: Int, network: Network) -> ScalingCurve.Question {
    ScalingCurve.Question(
      work: work, mode: mode, batch: batch, sampleCount: 86_400, network: network, failures: never)
  }

  @Test func withoutCostsScalingIsPerfect() {
    let curve = ScalingCurve(question(.weak, batch: 4, network: free), by: model(), shapes: shapes)
    #expect(curve.points.map(\.efficiency) == [1, 1, 1, 1, 1])
    #expect(curve.points.map(\.globalBatch) == [4, 8, 16, 32, 64])
    // A second a sample: a day on one rank.
    for (point, ranks) in zip(curve.points, [1.0, 2, 4, 8, 16]) {
      #expect(abs(point.days * ranks - 1) < 1e-6 && abs(point.nodeHours - 24) < 1e-4)
    }
  }

  @Test func strongScalingLeavesOutWhatDoesNotDivideTheBatch() {
    let curve = ScalingCurve(question(.strong, batch: 12, network: free), by: model(), shapes: shapes)
    #expect(curve.points.map(\.worldSize) == [1, 2, 4])
    #expect(curve.points.map { $0.step.total } == [12, 6, 3])
  }

  @Test func aSlowNetworkEndsEfficiencyWhereItsTimeEqualsComputing() {
    // Weights and gradients of 4 MB over 1 MB/s: 8·(N − 1)/N s beside 4 s of computing.
    let slow = Network(name: "slow", latency: 0, overhead: 0, bytesPerSecond: 1e6)
    let curve = ScalingCurve(question(.weak, batch: 4, network: slow), by: model(), shapes: shapes)
    for point in curve.points {
      let nodes = Double(point.nodeCount)
      // 16 bytes of the norms' sum besides.
      #expect(abs(point.efficiency - 4 / (4 + 8 * (nodes - 1) / nodes)) < 1e-4)
    }
    #expect(curve.largestEfficient(0.49)?.worldSize == 2)
    #expect(curve.largestEfficient(0.9)?.worldSize == 1)
    #expect(curve.largestEfficient(0.1)?.worldSize == 16)
  }

  @Test func theSlowestRankSetsThePace() {
    let curve = ScalingCurve(question(.weak, batch: 1, network: free), by: model(imbalance: 0.1), shapes: shapes)
    #expect(abs(curve.points[1].step.imbalance - 0.1 * 0.5641896) < 1e-6)
    #expect(abs(curve.points[1].efficiency - 1 / 1.05641896) < 1e-6)
  }
}
