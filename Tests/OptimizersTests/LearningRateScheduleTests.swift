import Testing

@testable import Optimizers

struct LearningRateScheduleTests {
  @Test func constantStaysAtTheBase() {
    let schedule = LearningRateSchedule(base: 3e-4, totalSteps: 10)
    #expect((0..<20).allSatisfy { schedule.learningRate(at: $0) == 3e-4 })
  }

  @Test func warmUpRisesLinearlyAndEndsAtTheBase() {
    let schedule = LearningRateSchedule(base: 1, totalSteps: 100, warmupSteps: 10, warmupFactor: 0.005)
    #expect(schedule.factor(at: 0) == 0.005)
    #expect(abs(schedule.factor(at: 5) - 0.5025) < 1e-12)
    #expect(schedule.factor(at: 10) == 1)
  }

  @Test func dropsMultiplyFromTheirStepOn() {
    let schedule = LearningRateSchedule(base: 1e-4, totalSteps: 100, shape: .drops(at: [40, 60], factor: 0.1))
    #expect(schedule.learningRate(at: 39) == 1e-4)
    #expect(abs(schedule.learningRate(at: 40) - 1e-5) < 1e-18)
    #expect(abs(schedule.learningRate(at: 60) - 1e-6) < 1e-18)
  }

  @Test func cosineIsHalfWayInTheMiddleAndFinalAtTheLastStep() {
    let schedule = LearningRateSchedule(
      base: 1, totalSteps: 111, warmupSteps: 10, shape: .cosine(finalFactor: 0.2))
    #expect(schedule.factor(at: 10) == 1)
    #expect(abs(schedule.factor(at: 60) - 0.6) < 1e-12)
    #expect(abs(schedule.factor(at: 110) - 0.2) < 1e-12)
    #expect(abs(schedule.factor(at: 500) - 0.2) < 1e-12)
  }

  /// The generator's course (method section 2.1): values of the published rule at 1000 steps, 20 of warm-up.
  @Test func generatorIsFlatThenFallsToATenth() {
    let schedule = LearningRateSchedule(
      base: 3e-4, totalSteps: 1000, warmupSteps: 20, warmupFactor: 0.005,
      shape: .flatThenLinear(flatShare: 0.05, finalFactor: 0.1))
    #expect(schedule.learningRate(at: 0) == 3e-4 * 0.005)
    #expect(schedule.factor(at: 20) == 1)
    #expect(schedule.factor(at: 68) == 1)
    #expect(abs(schedule.factor(at: 69) - (0.1 + 0.9 * (1 - 49.0 / 979) / 0.95)) < 1e-12)
    #expect(abs(schedule.factor(at: 510) - (0.1 + 0.9 * (1 - 490.0 / 979) / 0.95)) < 1e-12)
    #expect(abs(schedule.factor(at: 999) - 0.1) < 1e-12)
  }

  @Test func aRunOfOneStepLearnsAtFullRate() {
    for shape in [
      LearningRateSchedule.Shape.cosine(finalFactor: 0), .flatThenLinear(flatShare: 0.05, finalFactor: 0.1),
    ] {
      #expect(LearningRateSchedule(base: 1, totalSteps: 1, shape: shape).factor(at: 0) == 1)
    }
  }
}

struct WeightAverageTests {
  @Test func youngAveragesForgetFaster() {
    let rule = WeightAverage(decay: 0.999)
    #expect(rule.decay(at: 0) == 2.0 / 11)
    #expect(rule.decay(at: 89) == 0.91)
    #expect(rule.decay(at: 1_000_000) == 0.999)
    #expect(WeightAverage(decay: 0.999, isWarmedUp: false).decay(at: 0) == 0.999)
  }
}
