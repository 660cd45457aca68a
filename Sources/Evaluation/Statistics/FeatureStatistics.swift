import Kernels

/// Number, mean and covariance of feature vectors, in double precision and exactly the same for any number of ranks.
///
/// Features come in chunks. As long as the chunks are the same, it does not matter which rank adds which.
public struct FeatureStatistics: Sendable {
  /// Values of a vector.
  public let dimensionCount: Int
  /// Vectors so far.
  public var count: Int64 = 0
  /// Sum of the vectors.
  public var sums: ExactSums
  /// Sums of products of two values each, `dimensionCount²`.
  public var products: ExactSums

  /// Of no vectors yet.
  public init(dimensionCount: Int) {
    self.dimensionCount = dimensionCount
    sums = ExactSums(count: dimensionCount)
    products = ExactSums(count: dimensionCount * dimensionCount)
  }

  /// Adds a chunk of vectors, row by row.
  public mutating func add(_ features: [Double]) {
    let dimensions = dimensionCount
    let rows = features.count / max(dimensions, 1)
    require(features.count == rows * dimensions, "FeatureStatistics: \(features.count) values of \(dimensions) each")
    var columnSums = [Double](repeating: 0, count: dimensions)
    for row in 0..<rows {
      for column in 0..<dimensions { columnSums[column] += features[row * dimensions + column] }
    }
    var chunk = [Double](repeating: 0, count: dimensions * dimensions)
    features.withUnsafeBufferPointer { features in
      chunk.withUnsafeMutableBufferPointer { chunk in
        guard let source = features.baseAddress, let target = chunk.baseAddress else { return }
        doubleProduct(
          source, transposingA: true, source, into: target, rows: dimensions, inner: rows, columns: dimensions)
      }
    }
    columnSums.withUnsafeBufferPointer { sums.add($0) }
    chunk.withUnsafeBufferPointer { products.add($0) }
    count += Int64(rows)
  }

  /// Mean and unbiased covariance; nil for fewer than two vectors or values that are not finite.
  public var gaussian: GaussianStatistics? {
    guard count > 1, !sums.isBroken, !products.isBroken else { return nil }
    let n = Double(count)
    let mean = sums.values.map { $0 / n }
    var covariance = products.values
    for row in 0..<dimensionCount {
      for column in 0..<dimensionCount {
        let index = row * dimensionCount + column
        covariance[index] = (covariance[index] - n * mean[row] * mean[column]) / (n - 1)
      }
    }
    return GaussianStatistics(count: Int(count), mean: mean, covariance: covariance)
  }
}

/// Mean and covariance of features: all that the Fréchet distance knows of a set of images.
public struct GaussianStatistics: Sendable, Equatable {
  /// Vectors that they were computed from.
  public var count: Int
  /// D values.
  public var mean: [Double]
  /// D × D, row-major, symmetric; of the unbiased estimate.
  public var covariance: [Double]

  /// Known statistics.
  public init(count: Int, mean: [Double], covariance: [Double]) {
    self.count = count
    self.mean = mean
    self.covariance = covariance
  }

  /// Fewer vectors than values of a vector: the covariance has directions without any variance, and a distance to it is
  /// biased upwards more than usual.
  public var isRankDeficient: Bool { count <= mean.count }
}

/// The Fréchet distance of two normal distributions, `‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½)` (Heusel et al., 2017).
///
/// The trace of the root is that of the symmetric matrix `(Σ₁^½ Σ₂ Σ₁^½)^½`, a sum of roots of eigenvalues, none of
/// which is negative but by rounding. It needs no root of a matrix that is not symmetric, and works for singular
/// covariances.
/// - Complexity: O(D³).
public func frechetDistance(_ a: GaussianStatistics, _ b: GaussianStatistics) -> Double {
  let n = a.mean.count
  require(
    n == b.mean.count && a.covariance.count == n * n && b.covariance.count == n * n,
    "frechetDistance: \(n) and \(b.mean.count) dimensions")
  let first = SymmetricEigensystem(a.covariance, count: n, wantsVectors: true)
  // Rows of E are eigenvectors: root = Λ^½·E, and root·Σ₂·rootᵀ has the eigenvalues of Σ₁^½ Σ₂ Σ₁^½.
  var root = first.vectors
  for row in 0..<n {
    let factor = max(first.values[row], 0).squareRoot()
    for column in 0..<n { root[row * n + column] *= factor }
  }
  var half = [Double](repeating: 0, count: n * n)
  var product = half
  doubleProduct(root, b.covariance, into: &half, rows: n, inner: n, columns: n)
  doubleProduct(half, root, transposingB: true, into: &product, rows: n, inner: n, columns: n)
  let second = SymmetricEigensystem(product, count: n, wantsVectors: false)
  let traceOfRoot = second.values.reduce(0) { $0 + max($1, 0).squareRoot() }
  let distance = zip(a.mean, b.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  let traces = (0..<n).reduce(0) { $0 + a.covariance[$1 * n + $1] + b.covariance[$1 * n + $1] }
  return distance + traces - 2 * traceOfRoot
}
