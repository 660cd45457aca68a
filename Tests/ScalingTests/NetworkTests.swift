import Testing

@testable import Scaling

struct NetworkTests {
  private let shape = JobShape(worldSize: 8, ranksPerNode: 2, coresPerMachine: 2)

  @Test func aFitFindsTheNetworkThatMadeTheTimes() throws {
    let truth = Network(name: "x", latency: 30e-6, overhead: 0, bytesPerSecond: 3e8)
    let cost = TransferCost(shape: shape, network: truth, nodeBytesPerSecond: .infinity)
    let times = [8, 65_536, 1 << 20, 16 << 20].map { count in
      (byteCount: count, seconds: cost.reduceScatter(Double(count)) + cost.allGather(Double(count)))
    }
    let fitted = try Network(fitting: times, shape: shape, name: "x")
    #expect(abs(fitted.latency / truth.latency - 1) < 1e-6)
    #expect(abs(fitted.bytesPerSecond / truth.bytesPerSecond - 1) < 1e-6)
  }

  @Test func oneNodeHasNoNetwork() {
    let alone = JobShape(worldSize: 2, ranksPerNode: 2, coresPerMachine: 2)
    #expect(throws: FitError.self) {
      try Network(fitting: [(8, 1e-6), (1 << 20, 1e-3)], shape: alone, name: "x")
    }
  }

  @Test func oneSizeDoesNotTellLatencyFromBandwidth() {
    #expect(throws: FitError.self) { try Network(fitting: [(8, 1e-6)], shape: shape, name: "x") }
  }
}
