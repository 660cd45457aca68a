import Foundation
import Tensors
import Testing

struct LookupFreeQuantizationTests {
  @Test func codesAreSignsAndBitZeroIsChannelZero() {
    let z = Tensor([0.5, -2, 3, 0, -0.1, 0.1], shape: [1, 2, 3])
    let (codes, indices) = lookupFreeQuantize(z)
    #expect(codes.values == [1, -1, 1, -1, -1, 1])
    #expect(indices == [0b101, 0b100])
  }

  @Test func theGradientPassesStraightThrough() {
    let z = Tensor([0.5, -2, 0, 7], shape: [2, 2]).trackingGradient
    let gradient = Tensor([1, -2, 3, 4], shape: [2, 2])
    (2 * lookupFreeQuantize(z).codes).backward(from: gradient)
    #expect(z.gradient.values == [2, -4, 6, 8])
  }

  @Test func commitmentMatchesItsDefinitionAndGradient() {
    let z = Tensor([0.5, -2, 0, 3], shape: [2, 2])
    #expect(commitmentLoss(z).item == 1.5625)  // (0.25 + 1 + 1 + 4) / 4
    let apart = Tensor(randomTensors([3, 7])[0].values.map { $0 < 0 ? $0 - 0.1 : $0 + 0.1 }, shape: [3, 7])
    expectGradient(of: { commitmentLoss($0[0]) + commitmentLoss(2 * $0[0]) }, at: [apart])
  }

  @Test(arguments: [(1, 1), (7, 1), (5, 2), (6, 3), (40, 5), (33, 8), (1100, 6)], [Float(0.01), 0.5, 3])
  func entropiesMatchTheFullSoftmax(size: (Int, Int), temperature: Float) {
    // Scaled so that bits are undecided at any temperature, with a few saturated ones.
    let z = Tensor(
      randomTensors([size.0, size.1])[0].values.enumerated().map {
        $0.offset % 5 == 4 ? $0.element : $0.element * temperature
      }, shape: [size.0, size.1])
    let entropies = lookupFreeEntropy(z, temperature: temperature)
    let expected = referenceEntropies(z, temperature: Double(temperature))
    #expect(abs(Double(entropies.sampleEntropy.item) - expected.sample) < 2e-6 * max(1, expected.sample))
    #expect(abs(Double(entropies.batchEntropy.item) - expected.batch) < 2e-6 * max(1, expected.batch))
  }

  @Test(arguments: [(1, 1), (9, 2), (6, 3), (30, 7), (1030, 4)])
  func entropyGradients(rows: Int, bits: Int) {
    let z = randomTensors([rows, bits])
    expectGradient(of: { lookupFreeEntropy($0[0], temperature: 2).sampleEntropy }, at: z)
    // Both entropies of one call, as the loss uses them; close to uniform the batch entropy is nearly flat.
    expectGradient(
      of: {
        let entropies = lookupFreeEntropy(3 * $0[0] + $0[0] * $0[0], temperature: 2)
        return entropies.sampleEntropy - entropies.batchEntropy
      }, at: z)
  }

  @Test func batchEntropyGradientMatchesTheFullSoftmax() {
    let z = randomTensors([12, 6])[0]
    let leaf = z.trackingGradient
    lookupFreeEntropy(leaf, temperature: 0.7).batchEntropy.backward()
    let step = 1e-5
    let numeric = z.values.indices.map { index in
      let sides = [step, -step].map { referenceEntropies(z, temperature: 0.7, moving: index, by: $0).batch }
      return (sides[0] - sides[1]) / (2 * step)
    }
    #expect(largestDifference(leaf.gradient.values, numeric) < 1e-6)
  }

  @Test func certainBitsGiveExactZerosNotNaN() {
    let z = Tensor([Float](repeating: 5, count: 2 * 18), shape: [2, 18]).trackingGradient
    let entropies = lookupFreeEntropy(z)
    #expect(entropies.sampleEntropy.item < 1e-30)
    #expect(abs(entropies.batchEntropy.item + log1p(Float(1e-5))) < 1e-7)
    (entropies.sampleEntropy - entropies.batchEntropy).backward()
    #expect(z.gradient.values.allSatisfy { abs($0) < 1e-25 })
  }

  @Test func wideCodesAreExact() {
    // Undecided tokens: every code equally likely, d·log 2 each way.
    let z = Tensor(repeating: 0, shape: [3, 20])
    let entropies = lookupFreeEntropy(z, epsilon: 0)
    let expected = 20 * log(Float(2))
    // A million floats are summed, in an order that depends on the CPU's vector width.
    #expect(abs(entropies.sampleEntropy.item - expected) < 2e-6 * expected)
    #expect(abs(entropies.batchEntropy.item - expected) < 2e-6 * expected)
  }

  @Test func twoRanksGiveTheGlobalEntropyAndAfterAveragingItsGradient() {
    let whole = randomTensors([16, 5])[0]
    let halves = [0, 1].map { Tensor(Array(whole.values[$0 * 40..<($0 + 1) * 40]), shape: [8, 5]) }
    let leaf = whole.trackingGradient
    let global = lookupFreeEntropy(leaf, temperature: 0.8)
    (global.sampleEntropy - global.batchEntropy).backward()

    // Each rank's p̄, as it would send it.
    let sent = halves.map { half -> [Float] in
      var own: [Float] = []
      _ = lookupFreeEntropy(half, temperature: 0.8) { own = Array($0) }
      return own
    }
    let mean = zip(sent[0], sent[1]).map { ($0 + $1) / 2 }
    var sampleEntropies: [Float] = []
    for (rank, half) in halves.enumerated() {
      let part = half.trackingGradient
      let local = lookupFreeEntropy(part, temperature: 0.8) { _ = $0.update(fromContentsOf: mean) }
      #expect(abs(local.batchEntropy.item - global.batchEntropy.item) < 1e-6)
      sampleEntropies.append(local.sampleEntropy.item)
      (local.sampleEntropy - local.batchEntropy).backward()
      // A parameter's gradient is the mean over ranks: each token's share is half of what its rank computed.
      let averaged = part.gradient.values.map { Double($0) / 2 }
      #expect(largestDifference(Array(leaf.gradient.values[rank * 40..<(rank + 1) * 40]), averaged) < 1e-7)
    }
    let meanSampleEntropy = sampleEntropies.reduce(0, +) / 2
    #expect(abs(meanSampleEntropy - global.sampleEntropy.item) < 1e-6)
  }

  @Test func aFailingAverageIsPassedOn() {
    struct Lost: Error {}
    #expect(throws: Lost.self) {
      _ = try lookupFreeEntropy(Tensor(repeating: 0, shape: [1, 2])) { _ in throw Lost() }
    }
  }
}

/// Both entropies from the full softmax over 2^d codes in float64, one value of z moved by `step`.
private func referenceEntropies(
  _ z: Tensor, temperature: Double, moving moved: Int = -1, by step: Double = 0
) -> (sample: Double, batch: Double) {
  let (rows, bits) = (z.rows, z.channels)
  let values = z.values.enumerated().map { Double($0.element) + ($0.offset == moved ? step : 0) }
  var average = [Double](repeating: 0, count: 1 << bits)
  var sample = 0.0
  for row in 0..<rows {
    let logits = (0..<1 << bits).map { code in
      (0..<bits).reduce(0.0) { $0 + 2 * values[row * bits + $1] * (code >> $1 & 1 == 1 ? 1 : -1) / temperature }
    }
    let largest = logits.max() ?? 0
    let logSum = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
    for (code, logit) in logits.enumerated() {
      let p = exp(logit - logSum)
      sample -= p * (logit - logSum) / Double(rows)
      average[code] += p / Double(rows)
    }
  }
  return (sample, average.reduce(0) { $0 - $1 * log($1 + 1e-5) })
}
