import Evaluation
import Foundation
import Kernels
import Testing

/// Statistics by themselves: exact, independent of order, and right where the answer is known.
struct StatisticsTests {
  /// Seeded numbers of mean 0 and deviation 1.
  private func normals(_ count: Int, seed: UInt64) -> [Double] {
    var state = seed
    func unit() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 11) * 0x1p-53
    }
    return (0..<count).map { _ in (-2 * log(max(unit(), 1e-300))).squareRoot() * cos(2 * .pi * unit()) }
  }

  private func statistics(of features: [Double], dimensions: Int, chunk: Int, order: (Int) -> [Int])
    -> FeatureStatistics
  {
    let rows = features.count / dimensions
    let starts = Array(stride(from: 0, to: rows, by: chunk))
    var statistics = FeatureStatistics(dimensionCount: dimensions)
    for index in order(starts.count) {
      let start = starts[index]
      statistics.add(Array(features[start * dimensions..<min(rows, start + chunk) * dimensions]))
    }
    return statistics
  }

  @Test func sumsDoNotDependOnTheirOrderNorOnWhoAddsThem() {
    let features = normals(500 * 6, seed: 1).map { $0 * 37 }
    let forwards = statistics(of: features, dimensions: 6, chunk: 16) { Array(0..<$0) }
    let backwards = statistics(of: features, dimensions: 6, chunk: 16) { (0..<$0).reversed() }
    #expect(forwards.products == backwards.products)
    #expect(forwards.gaussian == backwards.gaussian)
    // Two ranks, one with the even chunks and one with the odd ones.
    var merged = statistics(of: features, dimensions: 6, chunk: 16) { (0..<$0).filter { $0 % 2 == 0 } }
    let other = statistics(of: features, dimensions: 6, chunk: 16) { (0..<$0).filter { $0 % 2 == 1 } }
    for index in merged.products.high.indices {
      merged.products.high[index] += other.products.high[index]
      merged.products.low[index] += other.products.low[index]
    }
    #expect(merged.products.values == forwards.products.values)
  }

  @Test func exactSumsKeepWhatFloatingPointLoses() {
    var sums = ExactSums(count: 1)
    for value in [1e5, 1e-9, -1e5, 1e-9, -0.25, 0.25] { [value].withUnsafeBufferPointer { sums.add($0) } }
    #expect(abs(sums.values[0] - 2e-9) < 1e-17)
    sums.add(.nan, at: 0)
    #expect(sums.isBroken)
    #expect(sums.values[0].isNaN)
  }

  @Test func theFrechetDistanceOfKnownDistributions() throws {
    // Diagonal covariances: Σ (√a − √b)² + ‖μ₁ − μ₂‖².
    let a = GaussianStatistics(count: 9, mean: [0, 1, 2], covariance: [4, 0, 0, 0, 9, 0, 0, 0, 0])
    let b = GaussianStatistics(count: 9, mean: [1, 1, 0], covariance: [1, 0, 0, 0, 16, 0, 0, 0, 4])
    #expect(abs(frechetDistance(a, b) - (5 + 1 + 1 + 4)) < 1e-10)
    #expect(abs(frechetDistance(a, a)) < 1e-10)
    // Fewer vectors than dimensions: a singular covariance has a distance all the same.
    let few = try #require(
      statistics(of: normals(5 * 8, seed: 2), dimensions: 8, chunk: 2) { Array(0..<$0) }.gaussian)
    #expect(few.isRankDeficient)
    #expect(abs(frechetDistance(few, few)) < 1e-9)
    // One distribution is nearer to itself than to a wider one.
    let many = try #require(
      statistics(of: normals(400 * 8, seed: 3), dimensions: 8, chunk: 50) { Array(0..<$0) }.gaussian)
    let again = try #require(
      statistics(of: normals(400 * 8, seed: 4), dimensions: 8, chunk: 50) { Array(0..<$0) }.gaussian)
    let wide = try #require(
      statistics(of: normals(400 * 8, seed: 5).map { $0 * 2 }, dimensions: 8, chunk: 50) { Array(0..<$0) }.gaussian)
    #expect(frechetDistance(many, again) < 0.5)
    #expect(frechetDistance(many, wide) > 5)
  }

  @Test func eigenvectorsRebuildTheMatrix() {
    let n = 7
    let factor = normals(n * n, seed: 6)
    var matrix = [Double](repeating: 0, count: n * n)
    doubleProduct(factor, factor, transposingB: true, into: &matrix, rows: n, inner: n, columns: n)
    let system = SymmetricEigensystem(matrix, count: n, wantsVectors: true)
    #expect(system.values == system.values.sorted())
    for row in 0..<n {
      for column in 0..<n {
        let rebuilt = (0..<n).reduce(0.0) {
          $0 + system.values[$1] * system.vectors[$1 * n + row] * system.vectors[$1 * n + column]
        }
        #expect(abs(rebuilt - matrix[row * n + column]) < 1e-10)
      }
    }
  }

  /// The same by the definition, without matrix products.
  private func naive(_ reference: [[Float]], _ candidates: [[Float]], neighbours: Int) -> (Double, Double) {
    func distance(_ a: [Float], _ b: [Float]) -> Double {
      zip(a, b).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    }
    func covered(_ set: [[Float]], by others: [[Float]]) -> Double {
      let radii = others.map { own in others.map { distance(own, $0) }.sorted()[neighbours] }
      return Double(set.count { own in zip(others, radii).contains { distance(own, $0) <= $1 } }) / Double(set.count)
    }
    return (covered(candidates, by: reference), covered(reference, by: candidates))
  }

  @Test(arguments: [(0.0, 1.0), (0.5, 1.0), (0.0, 0.4), (30, 1)])
  func precisionAndRecallFollowTheirDefinition(shift: Double, scale: Double) {
    let reference = normals(60 * 4, seed: 7).map { Float($0) }
    let candidates = normals(40 * 4, seed: 8).map { Float($0 * scale + shift) }
    let found = PrecisionRecall(reference: reference, candidates: candidates, dimensionCount: 4)
    func rows(_ values: [Float]) -> [[Float]] {
      stride(from: 0, to: values.count, by: 4).map { Array(values[$0..<$0 + 4]) }
    }
    let expected = naive(rows(reference), rows(candidates), neighbours: 3)
    #expect(found.precision == expected.0)
    #expect(found.recall == expected.1)
    if shift == 30 { #expect(found.precision == 0 && found.recall == 0) }
  }

  @Test func theInceptionScoreIsOneForUniformAndTheNumberOfClassesForSureGuesses() {
    var uniform = InceptionScore(imageCount: 12, classCount: 4, parts: .count(1))
    var sure = InceptionScore(imageCount: 12, classCount: 4, parts: .count(1))
    for image in 0..<12 {
      uniform.add(logits: [1, 1, 1, 1], at: image)
      sure.add(logits: (0..<4).map { $0 == image % 4 ? 1000 : 0 }, at: image)
    }
    #expect(abs(uniform.result.mean - 1) < 1e-12)
    #expect(abs(sure.result.mean - 4) < 1e-9)
  }
}
