import Testing

@testable import Scaling

struct FailureTests {
  private let model = FailureModel(nodeMeanTime: 80_000, checkpointSeconds: 60, restartSeconds: 300)

  @Test func intervalsAreThoseOfThePapers() {
    // M = 20000 s on four nodes.
    #expect(abs(model.youngInterval(nodeCount: 4) - 2_400_000.0.squareRoot()) < 1e-9)
    // √(2·60·20000)·(1 + √0.0015/3 + 0.0015/9) − 60, by hand.
    #expect(abs(model.dalyInterval(nodeCount: 4) - 1509.4516) < 1e-3)
    let slow = FailureModel(nodeMeanTime: 100, checkpointSeconds: 300, restartSeconds: 0)
    #expect(slow.dalyInterval(nodeCount: 1) == 100)
  }

  @Test func dalysIntervalIsWithinAHairOfTheBest() {
    let daly = model.dalyInterval(nodeCount: 4)
    func seconds(_ interval: Double) -> Double { model.expectedSeconds(1e6, interval: interval, nodeCount: 4) }
    let best = stride(from: daly / 2, to: 2 * daly, by: 0.5).map(seconds).min() ?? 0
    #expect(seconds(daly) <= best * (1 + 1e-6))
    #expect(seconds(model.youngInterval(nodeCount: 4)) <= best * 1.001)
    #expect(seconds(daly / 4) > best * 1.02 && seconds(4 * daly) > best * 1.02)
  }

  @Test func expectedTimeIsWhatSimulatedRunsTake() {
    var random = Draws(state: 7)
    let (mean, interval, segments) = (2000.0, 700.0, 40_000)
    let model = FailureModel(nodeMeanTime: mean, checkpointSeconds: 60, restartSeconds: 300)
    /// Time until `length` seconds have passed without a failure, with `after` behind each failure.
    func attempt(_ length: Double, after: () -> Double) -> Double {
      var time = 0.0
      while true {
        let failure = random.exponential(mean: mean)
        if failure >= length { return time + length }
        time += failure + after()
      }
    }
    let simulated = (0..<segments).reduce(0.0) { sum, _ in
      sum + attempt(interval + 60) { attempt(300) { 0 } }
    }
    let expected = model.expectedSeconds(interval * Double(segments), interval: interval, nodeCount: 1)
    // A segment's standard deviation is below its mean: the error of 40000 of them below 0.5 %.
    #expect(abs(simulated / expected - 1) < 0.015)
  }

  @Test func withoutFailuresOnlyCheckpointsCost() {
    let model = FailureModel(nodeMeanTime: 1e15, checkpointSeconds: 10, restartSeconds: 300)
    #expect(abs(model.expectedSeconds(1000, interval: 100, nodeCount: 1) - 1100) < 1e-3)
  }
}
