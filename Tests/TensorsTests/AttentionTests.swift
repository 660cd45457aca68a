import Foundation
import Kernels
import Tensors
import Testing

struct AttentionTests {
  /// Samples, heads, head size, queries, keys: the direct path and the blocked one, ragged blocks, one of each.
  static let shapes = [
    (2, 3, 5, 2, 2), (1, 2, 64, 1, 19), (2, 2, 8, 13, 7), (2, 2, 16, 33, 33), (1, 3, 12, 150, 40),
    (1, 1, 48, 9, 300), (1, 2, 32, 290, 290),
  ]

  static func mask(_ name: String, samples: Int, queries: Int, keys: Int) -> AttentionMask {
    switch name {
    case "causal": .causal
    case "prefix": .prefix((0..<samples).map { max(1, keys - 1 - $0) })
    case "shared table": .table(KeyVisibility(queries: queries, keys: keys) { ($1 * 7 + $2 * 5) % 3 != 0 })
    case "table per sample":
      .table(KeyVisibility(samples: samples, queries: queries, keys: keys) { $1 != 1 && ($0 + $1 + 2 * $2) % 4 != 0 })
    default: .none
    }
  }

  @Test(arguments: shapes, ["none", "causal", "prefix", "shared table", "table per sample"])
  func attentionAndItsGradientsMatchTheirDefinition(shape: (Int, Int, Int, Int, Int), mask name: String) {
    let (samples, heads, size, queries, keys) = shape
    let mask = Self.mask(name, samples: samples, queries: queries, keys: keys)
    let width = heads * size
    let inputs = randomTensors(
      [samples, queries, width], [samples, keys, width], [samples, keys, width], [samples, keys], in: -2...2)
    let dY = randomTensors([samples, queries, width], seed: 5)[0]
    for logSizes in [nil, inputs[3]] {
      let leaves = inputs.prefix(3).map(\.trackingGradient)
      let y = attention(
        query: leaves[0], key: leaves[1], value: leaves[2], heads: heads, logSizes: logSizes, mask: mask)
      y.backward(from: dY)
      let expected = AttentionReference(
        inputs[0], inputs[1], inputs[2], dY: dY, heads: heads, logSizes: logSizes, mask: mask)
      #expect(y.shape == [samples, queries, width])
      #expect(largestDifference(y.values, expected.y) < 3e-6)
      // Gradients of keys and values are sums over the queries.
      #expect(largestDifference(leaves[0].gradient.values, expected.dQuery) < 5e-6)
      #expect(largestDifference(leaves[1].gradient.values, expected.dKey) < 1e-5)
      #expect(largestDifference(leaves[2].gradient.values, expected.dValue) < 1e-5)
    }
  }

  @Test(arguments: shapes, ["none", "causal", "table per sample"])
  func attentionGradients(shape: (Int, Int, Int, Int, Int), mask name: String) {
    let (samples, heads, size, queries, keys) = shape
    let mask = Self.mask(name, samples: samples, queries: queries, keys: keys)
    let width = heads * size
    let inputs = randomTensors([samples, queries, width], [samples, keys, width], [samples, keys, width])
    let logSizes = randomTensors([samples, keys], seed: 9)[0]
    expectGradient(
      of: { attention(query: $0[0], key: $0[1], value: $0[2], heads: heads, logSizes: logSizes, mask: mask) },
      at: inputs)
  }

  @Test(arguments: [2, 40])
  func fusedAndSeparateOperandsAgree(length: Int) {
    let (heads, width) = (2, 12)
    let qkv = randomTensors([3, length, 3 * width])[0]
    let parts = (0..<3).map { part in
      Tensor(
        (0..<3 * length).flatMap { row in (0..<width).map { qkv.values[(row * 3 + part) * width + $0] } },
        shape: [3, length, width])
    }
    let fused = attention(qkv: qkv, heads: heads, mask: .causal)
    let separate = attention(query: parts[0], key: parts[1], value: parts[2], heads: heads, mask: .causal)
    #expect(largestDifference(fused.values, separate.values.map(Double.init)) < 1e-6)
    expectGradient(of: { attention(qkv: $0[0], heads: heads, mask: .causal) }, at: [qkv])
    // Keys that are their own values, and a second use of the same leaf.
    expectGradient(
      of: { attention(query: $0[0], key: $0[1], value: $0[1], heads: heads) + $0[0] },
      at: [
        parts[0], parts[1],
      ])
  }

  @Test(arguments: [2, 40])
  func rowsThatSeeNothingGiveZerosAndNoGradient(length: Int) {
    let mask = AttentionMask.table(KeyVisibility(queries: length, keys: length) { _, query, _ in query != 1 })
    let qkv = randomTensors([1, length, 24])[0].trackingGradient
    let y = attention(qkv: qkv, heads: 2, mask: mask)
    #expect(y.values[8..<16].allSatisfy { $0 == 0 })
    #expect(y.values[0..<8].contains { $0 != 0 })
    y.backward(from: Tensor(repeating: 1, shape: y.shape))
    #expect(qkv.gradient.values[24..<32].allSatisfy { $0 == 0 })
    #expect(qkv.gradient.values.allSatisfy { $0.isFinite })
  }

  @Test(arguments: [3, 33])
  func largeLogitsStayFinite(length: Int) {
    let x = Tensor(randomTensors([1, length, 24])[0].values.map { 300 * $0 }, shape: [1, length, 24])
    let leaf = x.trackingGradient
    let y = attention(qkv: leaf, heads: 2)
    y.backward(from: y)
    #expect(y.values.allSatisfy { abs($0) <= 300 })
    #expect(leaf.gradient.values.allSatisfy { $0.isFinite })
  }

  @Test(arguments: [3, 33], ["none", "shared table"])
  func notANumberIsNotHidden(length: Int, mask name: String) {
    let qkv = Tensor(repeating: .nan, shape: [1, length, 24])
    let mask = Self.mask(name, samples: 1, queries: length, keys: length)
    #expect(attention(qkv: qkv, heads: 2, mask: mask).values.allSatisfy { $0.isNaN })
  }

  @Test func logSizesCountAKeyThatOften() {
    // A key of size 3 attracts as much as three equal keys.
    let inputs = randomTensors([1, 4, 8], [1, 3, 8], [1, 3, 8])
    func repeated(_ x: Tensor) -> Tensor { gatherTokens(x, [0, 1, 1, 1, 2]) }
    let merged = attention(
      query: inputs[0], key: inputs[1], value: inputs[2], heads: 2, logSizes: Tensor([0, log(3), 0], shape: [1, 3]))
    let full = attention(query: inputs[0], key: repeated(inputs[1]), value: repeated(inputs[2]), heads: 2)
    #expect(largestDifference(merged.values, full.values.map(Double.init)) < 1e-6)
  }
}

/// Attention and its gradients by definition in float64.
private struct AttentionReference {
  var y: [Double], dQuery: [Double], dKey: [Double], dValue: [Double]

  init(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, dY: Tensor, heads: Int, logSizes: Tensor?, mask: AttentionMask
  ) {
    let (samples, queries, keys, width) = (query.shape[0], query.shape[1], key.shape[1], query.channels)
    let size = width / heads
    let scale = 1 / Double(size).squareRoot()
    let (q, k, v) = (query.values.map(Double.init), key.values.map(Double.init), value.values.map(Double.init))
    let (dOut, sizes) = (dY.values.map(Double.init), logSizes?.values.map(Double.init))
    y = [Double](repeating: 0, count: query.count)
    dQuery = y
    dKey = [Double](repeating: 0, count: key.count)
    dValue = dKey
    for b in 0..<samples {
      for h in 0..<heads {
        for i in 0..<queries {
          /// The first channel of the head in the query's row, and in a key's row.
          let row = (b * queries + i) * width + h * size
          func keyRow(_ j: Int) -> Int { (b * keys + j) * width + h * size }
          func product(_ a: [Double], _ c: [Double], _ j: Int) -> Double {
            (0..<size).reduce(0) { $0 + a[row + $1] * c[keyRow(j) + $1] }
          }
          let seen = (0..<keys).filter { Self.isVisible(mask, b, i, $0, offset: keys - queries) }
          let logits = seen.map { scale * product(q, k, $0) + (sizes?[b * keys + $0] ?? 0) }
          let weights = logits.map { exp($0 - (logits.max() ?? 0)) }
          let p = weights.map { $0 / weights.reduce(0, +) }
          let dP = seen.map { product(dOut, v, $0) }
          let mean = zip(p, dP).reduce(0) { $0 + $1.0 * $1.1 }
          for (index, j) in seen.enumerated() {
            let dLogit = scale * p[index] * (dP[index] - mean)
            for c in 0..<size {
              y[row + c] += p[index] * v[keyRow(j) + c]
              dValue[keyRow(j) + c] += p[index] * dOut[row + c]
              dQuery[row + c] += dLogit * k[keyRow(j) + c]
              dKey[keyRow(j) + c] += dLogit * q[row + c]
            }
          }
        }
      }
    }
  }

  private static func isVisible(_ mask: AttentionMask, _ b: Int, _ i: Int, _ j: Int, offset: Int) -> Bool {
    switch mask {
    case .none: true
    case .causal: j <= i + offset
    case .prefix(let counts): j < counts[b]
    case .table(let table): table.isVisible(sample: b, query: i, key: j)
    }
  }
}
