/// Non-negative least squares for a few unknowns.
public enum LeastSquares {
  /// The `x ≥ 0` that minimises `Σ wᵢ (rowᵢ · x − yᵢ)²`.
  ///
  /// Every subset of the unknowns is tried with the others at 0; the best one whose solution is positive is the
  /// minimum, because the problem is convex. Exponential in the number of unknowns, which is two or three.
  /// - Returns: The unknowns, and the weighted sum of squares that is left.
  public static func nonNegative(
    rows: [[Double]], values: [Double], weights: [Double]
  ) -> (solution: [Double], residual: Double) {
    let count = rows.first?.count ?? 0
    func residual(_ x: [Double]) -> Double {
      rows.indices.reduce(0) { sum, row in
        let error = zip(rows[row], x).reduce(0) { $0 + $1.0 * $1.1 } - values[row]
        return sum + weights[row] * error * error
      }
    }
    var best = [Double](repeating: 0, count: count)
    var bestResidual = residual(best)
    for subset in 1..<(1 << count) {
      let used = (0..<count).filter { subset & 1 << $0 != 0 }
      guard let part = normalSolution(rows.map { row in used.map { row[$0] } }, values, weights),
        part.allSatisfy({ $0 >= 0 })
      else { continue }
      var x = [Double](repeating: 0, count: count)
      for (index, value) in zip(used, part) { x[index] = value }
      let left = residual(x)
      if left < bestResidual { (best, bestResidual) = (x, left) }
    }
    return (best, bestResidual)
  }

  /// Solves `AᵀWA x = AᵀWy` by Gaussian elimination; nil where the columns depend on each other.
  private static func normalSolution(_ rows: [[Double]], _ values: [Double], _ weights: [Double]) -> [Double]? {
    let count = rows[0].count
    var matrix = (0..<count).map { i in
      (0..<count).map { j in rows.indices.reduce(0) { $0 + weights[$1] * rows[$1][i] * rows[$1][j] } }
        + [rows.indices.reduce(0) { $0 + weights[$1] * rows[$1][i] * values[$1] }]
    }
    for column in 0..<count {
      let diagonal = matrix[column][column]
      // Columns are compared with their own size: seconds per operation are tiny numbers.
      let size = rows.indices.reduce(0) { $0 + weights[$1] * rows[$1][column] * rows[$1][column] }
      guard diagonal > 1e-9 * size else { return nil }
      for row in 0..<count where row != column {
        let factor = matrix[row][column] / diagonal
        for index in column...count { matrix[row][index] -= factor * matrix[column][index] }
      }
    }
    return (0..<count).map { matrix[$0][count] / matrix[$0][$0] }
  }
}
