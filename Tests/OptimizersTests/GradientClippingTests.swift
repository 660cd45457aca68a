import Testing

@testable import Optimizers

struct GradientClippingTests {
  @Test(arguments: [0, 1, 31, 32, 33, 1000, 200_001])
  func sumOfSquaresAgreesWithTheNaiveSum(count: Int) {
    let gradients = randomFloats(count, seed: 9)
    let naive = gradients.reduce(0.0) { $0 + Double($1) * Double($1) }
    let sum = gradients.withUnsafeBufferPointer { GradientClipping.sumOfSquares($0) }
    #expect(abs(sum - naive) <= 1e-12 * naive)
  }

  @Test func hugeGradientsDoNotOverflow() {
    let sum = [Float](repeating: .greatestFiniteMagnitude, count: 40)
      .withUnsafeBufferPointer { GradientClipping.sumOfSquares($0) }
    #expect(GradientClipping.outcome(sumOfSquares: sum, limit: 1).norm.isFinite)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity], [0, 17, 39])
  func oneBadGradientIsSeen(bad: Float, position: Int) {
    var gradients = randomFloats(40, seed: 2)
    gradients[position] = bad
    let sum = gradients.withUnsafeBufferPointer { GradientClipping.sumOfSquares($0) }
    #expect(!GradientClipping.outcome(sumOfSquares: sum, limit: 1).norm.isFinite)
  }

  @Test func normsBelowTheLimitAreLeftAlone() {
    #expect(GradientClipping.outcome(sumOfSquares: 0.25, limit: 1).scale == 1)
    #expect(GradientClipping.outcome(sumOfSquares: 1e6, limit: nil).scale == 1)
  }

  @Test func normsAboveTheLimitAreScaledToIt() {
    let outcome = GradientClipping.outcome(sumOfSquares: 100, limit: 5)
    #expect(outcome.norm == 10)
    #expect(abs(outcome.scale - 0.5) < 1e-6)
  }

  @Test func accumulationCountsIntoTheNorm() {
    let outcome = GradientClipping.outcome(sumOfSquares: 1600, limit: 5, gradientScale: 0.25)
    #expect(outcome.norm == 10)
    #expect(abs(outcome.scale - 0.125) < 1e-6)
  }
}
