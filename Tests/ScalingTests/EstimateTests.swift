import Testing

@testable import Scaling

struct EstimateTests {
  @Test func theIntervalIsStudents() {
    // Mean 3, standard error √(2.5/5), t₀.₉₇₅ with 4 degrees of freedom 2.7764.
    let estimate = Estimate([1, 2, 3, 4, 5])
    #expect(estimate.mean == 3)
    #expect(abs(estimate.halfWidth - 2.776445 * 0.5.squareRoot()) < 1e-4)
    #expect(Estimate([7]).halfWidth == .infinity)
  }

  @Test(arguments: [(1, 12.7062), (2, 4.30265), (9, 2.26216), (100, 1.98397)])
  func quantilesOfStudentsTAreThoseOfTables(degrees: Int, expected: Double) {
    #expect(abs(Estimate.studentQuantile(0.975, degreesOfFreedom: degrees) / expected - 1) < 1e-4)
  }

  @Test func theMedianIsTheMiddle() {
    #expect(median([3, 1, 2]) == 2)
    #expect(median([4, 1, 3, 2]) == 2.5)
  }

  @Test func expectedMaximaAreThoseOfTables() {
    #expect(OrderStatistics.expectedMaximum(ofNormals: 1) == 0)
    #expect(abs(OrderStatistics.expectedMaximum(ofNormals: 2) - 1 / Double.pi.squareRoot()) < 1e-9)
    #expect(abs(OrderStatistics.expectedMaximum(ofNormals: 3) - 1.5 / Double.pi.squareRoot()) < 1e-9)
    // Tippett (1925).
    #expect(abs(OrderStatistics.expectedMaximum(ofNormals: 100) - 2.50759) < 1e-4)
    #expect(abs(OrderStatistics.expectedMaximum(ofNormals: 1000) - 3.24144) < 1e-4)
  }

  @Test func expectedMaximaAreWhatDrawsGive() {
    var random = Draws(state: 1)
    let rounds = 20_000
    for count in [2, 8, 64] {
      let sum = (0..<rounds).reduce(0.0) { sum, _ in sum + (0..<count).map { _ in random.normal() }.max()! }
      // The standard error of the mean is below 0.83/√20000 = 0.006.
      #expect(abs(sum / Double(rounds) - OrderStatistics.expectedMaximum(ofNormals: count)) < 0.024)
    }
  }

  @Test func leastSquaresFindsWhatMadeTheValues() {
    let rows = [[1.0, 2e-9], [2, 1e-9], [3, 5e-9], [4, 1e-9]]
    let exact = LeastSquares.nonNegative(
      rows: rows, values: rows.map { 3 * $0[0] + 4e9 * $0[1] }, weights: [1, 1, 1, 1])
    #expect(abs(exact.solution[0] - 3) < 1e-9 && abs(exact.solution[1] - 4e9) < 1)
    #expect(exact.residual < 1e-15)
  }

  @Test func leastSquaresKeepsUnknownsFromGoingBelowZero() {
    // Unbounded, the second unknown would be −1.
    let (solution, _) = LeastSquares.nonNegative(rows: [[1, 0], [1, 1]], values: [2, 1], weights: [1, 1])
    #expect(solution == [1.5, 0])
  }

  @Test func leastSquaresOfTheSameColumnTwiceUsesIt() {
    let (solution, residual) = LeastSquares.nonNegative(rows: [[1, 2], [2, 4]], values: [3, 6], weights: [1, 1])
    #expect(abs(solution[0] + 2 * solution[1] - 3) < 1e-12 && residual < 1e-20)
  }
}
