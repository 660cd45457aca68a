import Kernels

/// Precision and recall of one set of feature vectors against another (Kynkäänniemi et al., 2019).
///
/// A set's manifold is the union of balls around its vectors that reach to their k-th nearest neighbour within the set.
public struct PrecisionRecall: Sendable, Equatable {
  /// The share of candidates within the reference's manifold.
  public let precision: Double
  /// The share of the reference within the candidates' manifold.
  public let recall: Double

  /// The k of the literature.
  public static let defaultNeighbours = 3

  /// Compares two sets of vectors of `dimensionCount` values, row by row.
  /// - Parameters:
  ///   - reference: Vectors of real images, row by row.
  ///   - candidates: Vectors of generated images, row by row.
  ///   - dimensionCount: Values of a vector.
  ///   - neighbours: k.
  /// - Complexity: O(N²·D) time, O(N) memory.
  /// - Precondition: Both sets have more than k vectors.
  public init(reference: [Float], candidates: [Float], dimensionCount: Int, neighbours: Int = Self.defaultNeighbours) {
    let real = FeatureSet(reference, dimensionCount: dimensionCount)
    let made = FeatureSet(candidates, dimensionCount: dimensionCount)
    require(min(real.count, made.count) > neighbours, "PrecisionRecall: too few vectors for \(neighbours) neighbours")
    precision = made.shareCovered(by: real, radii: real.squaredRadii(neighbours: neighbours))
    recall = real.shareCovered(by: made, radii: made.squaredRadii(neighbours: neighbours))
  }
}

/// Vectors and their squared lengths.
private struct FeatureSet {
  let features: [Float]
  let dimensionCount: Int
  let count: Int
  let squaredLengths: [Double]

  init(_ features: [Float], dimensionCount: Int) {
    self.features = features
    self.dimensionCount = dimensionCount
    count = features.count / dimensionCount
    squaredLengths = (0..<count).map { row in
      features[row * dimensionCount..<(row + 1) * dimensionCount].reduce(0) { $0 + Double($1) * Double($1) }
    }
  }

  /// Calls `body` with the squared distances of each vector of `range` to all of `others`.
  private func forEachDistance(
    to others: FeatureSet, in range: Range<Int>, _ body: (_ row: Int, _ distances: [Double]) -> Void
  ) {
    let products = Storage(count: range.count * others.count)
    features.withUnsafeBufferPointer { own in
      others.features.withUnsafeBufferPointer { other in
        guard let a = own.baseAddress, let b = other.baseAddress else { return }
        // Read only; the views are made for both directions.
        gemm(
          MatrixView(
            UnsafeMutablePointer(mutating: a + range.lowerBound * dimensionCount), rows: range.count,
            columns: dimensionCount),
          MatrixView(UnsafeMutablePointer(mutating: b), rows: others.count, columns: dimensionCount).transposed,
          into: MatrixView(products.pointer, rows: range.count, columns: others.count))
      }
    }
    for row in range {
      let line = products.pointer + (row - range.lowerBound) * others.count
      body(
        row,
        (0..<others.count).map { max(0, squaredLengths[row] + others.squaredLengths[$0] - 2 * Double(line[$0])) })
    }
  }

  private func forEachDistance(to others: FeatureSet, _ body: (_ row: Int, _ distances: [Double]) -> Void) {
    // 64 MB of products at a time.
    let rows = max(1, (1 << 24) / max(others.count, 1))
    for start in stride(from: 0, to: count, by: rows) {
      forEachDistance(to: others, in: start..<min(count, start + rows), body)
    }
  }

  /// The squared distance of every vector to its k-th nearest neighbour, itself not counted.
  func squaredRadii(neighbours: Int) -> [Double] {
    var radii = [Double](repeating: 0, count: count)
    forEachDistance(to: self) { row, distances in
      var nearest = [Double](repeating: .infinity, count: neighbours)
      for (other, distance) in distances.enumerated() where other != row && distance < nearest[neighbours - 1] {
        var place = neighbours - 1
        while place > 0, nearest[place - 1] > distance {
          nearest[place] = nearest[place - 1]
          place -= 1
        }
        nearest[place] = distance
      }
      radii[row] = nearest[neighbours - 1]
    }
    return radii
  }

  /// The share of vectors that lie in at least one ball around a vector of `others`.
  func shareCovered(by others: FeatureSet, radii: [Double]) -> Double {
    var covered = 0
    forEachDistance(to: others) { _, distances in
      if zip(distances, radii).contains(where: { $0 <= $1 }) { covered += 1 }
    }
    return Double(covered) / Double(count)
  }
}
