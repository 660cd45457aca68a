import Collectives
import Testing

@testable import Scaling

struct StepModelTests {
  private let truth = StepModel(
    secondsPerOperation: 2e-11, secondsPerUpdateByte: 1e-10, contention: 0.25, imbalance: 0.03,
    dataSecondsPerSample: 1e-3, secondsPerNodeByte: 2e-10)
  private let ethernet = Network(name: "ethernet", latency: 50e-6, overhead: 2e-6, bytesPerSecond: 1e8)
  private let work = StepWork(operationsPerSample: 4e9, parameterCount: 2_000_000, statisticsBytes: 4096)

  private func observation(_ shape: JobShape, samples: Double) -> Observation {
    Observation(
      work: work, shape: shape, samplesPerRank: samples, network: shape.nodeCount > 1 ? ethernet : nil,
      measured: truth.step(work, samplesPerRank: samples, shape: shape, network: ethernet),
      relativeVariance: shape.worldSize > 1 ? truth.imbalance * truth.imbalance : nil)
  }

  private func expectTruth(_ model: StepModel) {
    func expect(_ key: KeyPath<StepModel, Double>, within tolerance: Double = 1e-3) {
      #expect(abs(model[keyPath: key] / truth[keyPath: key] - 1) < tolerance, "\(key)")
    }
    expect(\.secondsPerOperation)
    expect(\.secondsPerUpdateByte, within: 0.02)
    expect(\.contention)
    expect(\.imbalance)
    expect(\.dataSecondsPerSample)
    expect(\.secondsPerNodeByte)
  }

  private func shape(_ ranks: Int, perNode: Int = 4, nodesPerMachine: Int = 1) -> JobShape {
    JobShape(worldSize: ranks, ranksPerNode: perNode, coresPerMachine: 4, nodesPerMachine: nodesPerMachine)
  }

  @Test func aFitFindsTheParametersThatMadeTheSteps() throws {
    let observations = [1, 2, 4].flatMap { ranks in
      [4.0, 8, 16].map { observation(shape(ranks), samples: $0) }
    }
    expectTruth(try StepModel(fitting: observations))
  }

  @Test func aFitFindsThemAcrossNodesAndOversubscribedCores() throws {
    let shapes = [shape(1), shape(2), shape(16, nodesPerMachine: 4), shape(4, perNode: 1, nodesPerMachine: 4)]
    expectTruth(try StepModel(fitting: shapes.flatMap { shape in [4.0, 16].map { observation(shape, samples: $0) } }))
  }

  @Test func nothingMeasuredMakesNoModel() {
    #expect(throws: FitError.self) { try StepModel(fitting: []) }
  }

  @Test func computingTakesAsLongAsItsOperationsOnTheCoresThereAre() {
    // Eight ranks on four cores: twice the time, and all cores busy.
    let one = truth.step(work, samplesPerRank: 8, shape: shape(1), network: ethernet)
    let eight = truth.step(work, samplesPerRank: 8, shape: shape(8, perNode: 8), network: ethernet)
    let update = 1e-10 * 8e6
    #expect(abs(one.compute - (2e-11 * 4e9 * 8 + update * 11)) < 1e-12)
    #expect(abs(eight.compute - 2 * 1.25 * (2e-11 * 4e9 * 8 + update * 2.25)) < 1e-12)
    #expect(one.imbalance == 0 && one.communication == 0)
    #expect(abs(eight.imbalance - eight.compute * 0.03 * 1.42360) < 1e-5 * eight.compute)
    #expect(abs(eight.data - 8e-3) < 1e-15)
  }

  @Test func twoNodesExchangeHalvesInPieces() {
    let cost = TransferCost(shape: shape(2, perNode: 1), network: ethernet, nodeBytesPerSecond: .infinity)
    // 8 MB: 4 MB a share, 8 pieces of at most 512 KiB.
    #expect(abs(cost.reduceScatter(8e6) - (8 * 52e-6 + 4e6 / 1e8)) < 1e-12)
    #expect(abs(cost.allGather(8e6) - (8 * 52e-6 + 4e6 / 1e8)) < 1e-12)
    #expect(abs(cost.allReduce(8e6) - (16 * 52e-6 + 8e6 / 1e8)) < 1e-12)
    #expect(abs(cost.agreement - (52e-6 + 8 / 1e8)) < 1e-12)
  }

  @Test func aNodeSpeaksOnceForItsRanks() {
    let cost = TransferCost(shape: shape(16), network: ethernet, nodeBytesPerSecond: .infinity)
    let bytes = 0.75 * 1.28e6
    #expect(abs(cost.reduceScatter(1.28e6) - (50e-6 + 3 * 2e-6 + bytes / 1e8)) < 1e-12)
    // Parts of 320 kB: two rounds of neighbours.
    #expect(abs(cost.allGather(1.28e6) - (2 * 52e-6 + bytes / 1e8)) < 1e-12)
  }

  @Test func oneNodeOnlyCopies() {
    let cost = TransferCost(shape: shape(4), network: ethernet, nodeBytesPerSecond: 1e9)
    #expect(abs(cost.reduceScatter(1e9) - 1.75) < 1e-12)
    #expect(abs(cost.allGather(1e9) - 1) < 1e-12)
    #expect(TransferCost(shape: shape(1), network: ethernet, nodeBytesPerSecond: 1).allReduce(1e9) == 0)
  }

  @Test func manySmallPartsAreGatheredInDoublingRounds() {
    let small = Network(name: "", latency: 1, overhead: 0, bytesPerSecond: .infinity)
    #expect([1, 2, 3, 4, 5, 4096].map { small.allGather(nodeCount: $0, partBytes: 8) } == [0, 1, 2, 2, 3, 12])
    #expect([2, 3, 4, 5, 4096].map { small.allGather(nodeCount: $0, partBytes: 4096) } == [1, 2, 2, 4, 2048])
  }

  @Test func piecesShrinkWithTheWorldAsTheWindowDoes() {
    #expect(NodeWindowSize.pieceByteCount(worldSize: 2, ranksOfFullestNode: 1) == 512 << 10)
    #expect(NodeWindowSize.pieceByteCount(worldSize: 4096, ranksOfFullestNode: 1) == 640)
    #expect(NodeWindowSize.pieceByteCount(worldSize: 1 << 20, ranksOfFullestNode: 64) == 64)
  }
}
