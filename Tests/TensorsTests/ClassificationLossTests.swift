import Foundation
import Layers
import Tensors
import Testing

struct ClassificationLossTests {
  @Test(arguments: [(1, 1), (3, 5), (40, 33), (2, 5000)], [Float(0), 0.1])
  func crossEntropyMatchesItsDefinitionAndGradient(size: (Int, Int), smoothing: Float) {
    let (rows, classes) = size
    let logits = randomTensors([rows, classes], in: -6...6)
    let targets = (0..<rows).map { Int32($0 * 7 % classes) }
    let x = logits[0].values.map(Double.init)
    let expected = (0..<rows).reduce(0.0) { total, row in
      let logProbabilities = logSoftmax(Array(x[row * classes..<(row + 1) * classes]))
      let mean = logProbabilities.reduce(0, +) / Double(classes)
      let smoothing = Double(smoothing)
      return total - (1 - smoothing) * logProbabilities[Int(targets[row])] - smoothing * mean
    }
    let loss = crossEntropy(logits[0], targets: targets, labelSmoothing: smoothing)
    #expect(abs(Double(loss.item) - expected / Double(rows)) < 2e-6 * max(1, expected))
    expectGradient(
      of: {
        crossEntropy($0[0], targets: targets, labelSmoothing: smoothing) + crossEntropy(2 * $0[0], targets: targets)
      }, at: logits)
  }

  @Test func crossEntropyStandsHugeLogits() {
    let x = Tensor([1e4, -1e4, 0, 1e4], shape: [2, 2]).trackingGradient
    let loss = crossEntropy(x, targets: [1, 1])
    #expect(loss.item == 1e4)
    loss.backward()
    #expect(largestDifference(x.gradient.values, [0.5, -0.5, 0, 0]) < 1e-30)
  }

  @Test(arguments: [(1, 2), (3, 768), (17, 33)], [Float(1), 4])
  func softmaxDivergenceMatchesItsDefinitionAndGradient(size: (Int, Int), temperature: Float) {
    let inputs = randomTensors([size.0, size.1], [size.0, size.1], in: -3...3)
    let divided = inputs.map { $0.values.map { Double($0) / Double(temperature) } }
    let expected =
      (0..<size.0).reduce(0.0) { total, row in
        let range = row * size.1..<(row + 1) * size.1
        let (s, t) = (logSoftmax(Array(divided[0][range])), logSoftmax(Array(divided[1][range])))
        return total + zip(s, t).reduce(0) { $0 + exp($1.1) * ($1.1 - $1.0) }
      } / Double(size.0) * Double(temperature * temperature)
    let loss = softmaxDivergence(student: inputs[0], teacher: inputs[1], temperature: temperature)
    #expect(abs(Double(loss.item) - expected) < 5e-6 * max(1, expected))
    expectGradient(
      of: { softmaxDivergence(student: $0[0], teacher: inputs[1], temperature: temperature) }, at: [inputs[0]])
    #expect(abs(softmaxDivergence(student: inputs[0], teacher: inputs[0], temperature: temperature).item) < 1e-5)
  }

  @Test func negativeNormalizedProductIsMinusTheCosine() {
    let x = Tensor([3, 4, 1, 0], shape: [2, 2])
    let target = Tensor([6, 8, 0, 2], shape: [2, 2])
    #expect(abs(negativeNormalizedProduct(x, target).item + 0.5) < 1e-7)
    let inputs = randomTensors([4, 9], [4, 9])
    expectGradient(of: { negativeNormalizedProduct($0[0], inputs[1]) }, at: [inputs[0]])
  }

  @Test func embeddingGathersAndItsGradientScatters() {
    let table = randomTensors([4, 130])
    let indices: [Int32] = [2, 0, 2, 3, 2, 2]
    let y = embedding(table[0], indices, shape: [2, 3])
    #expect(y.shape == [2, 3, 130])
    #expect(Array(y.values[0..<130]) == Array(table[0].values[260..<390]))
    expectGradient(of: { embedding($0[0], indices) + embedding(2 * $0[0], indices) }, at: table)
    let leaf = table[0].trackingGradient
    embedding(leaf, indices).backward(from: Tensor(repeating: 1, shape: [6, 130]))
    #expect(stride(from: 0, to: 520, by: 130).map { leaf.gradient.values[$0] } == [1, 0, 4, 1])
    var random = SplitMix64(seed: 1)
    #expect(Embedding(count: 3, size: 2, using: &random)([1, 1], shape: [1, 2]).shape == [1, 2, 2])
  }
}

private func logSoftmax(_ x: [Double]) -> [Double] {
  let largest = x.max() ?? 0
  let logSum = largest + log(x.reduce(0) { $0 + exp($1 - largest) })
  return x.map { $0 - logSum }
}
