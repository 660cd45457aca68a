import Foundation
import Layers
import Tensors
import Testing

struct BasicOperationTests {
  @Test(arguments: [(1, 1, 1), (2, 3, 5), (70, 33, 130)])
  func linearMatchesItsDefinitionAndGradient(rows: Int, inputs: Int, outputs: Int) {
    let tensors = randomTensors([rows, inputs], [outputs, inputs], [outputs])
    let (x, w, b) = (tensors[0].values, tensors[1].values, tensors[2].values)
    let y = linear(tensors[0], weight: tensors[1], bias: tensors[2])
    for row in 0..<rows {
      for out in 0..<outputs {
        let expected = (0..<inputs).reduce(Double(b[out])) {
          $0 + Double(x[row * inputs + $1]) * Double(w[out * inputs + $1])
        }
        #expect(abs(Double(y.values[row * outputs + out]) - expected) < 1e-5)
      }
    }
    expectGradient(of: { linear($0[0], weight: $0[1], bias: $0[2]) }, at: tensors)
  }

  @Test func anInertBiasHasNoGradient() {
    var random = SplitMix64(seed: 4)
    let layer = Linear(inputSize: 8, outputSize: 12, inertBias: 4..<8, using: &random)
    let arena = ParameterArena([("weight", layer.weight)] + (layer.bias.map { [("bias", $0)] } ?? []))
    arena.startStep()
    let loss = mean(attention(qkv: layer(randomTensors([2, 5, 8])[0]), heads: 2))
    loss.backward()
    let gradient = layer.bias?.gradient.values ?? []
    #expect(gradient[4..<8].allSatisfy { $0 == 0 })
    #expect(gradient[8...].allSatisfy { $0 != 0 })
  }

  @Test(arguments: [Activation.gelu, .silu])
  func activationGradients(function: Activation) {
    expectGradient(of: { activation($0[0], function) }, at: randomTensors([3, 17], in: -4...4))
  }

  @Test func leakyReLUGradientAwayFromItsKink() {
    let x = Tensor([-2, -1, 1, 2], shape: [4])
    #expect(activation(x, .leakyReLU(slope: 0.25)).values == [-0.5, -0.25, 1, 2])
    expectGradient(of: { activation($0[0], .leakyReLU(slope: 0.25)) }, at: [x])
  }

  @Test func geluIsExactToFloatPrecision() {
    let x = stride(from: Float(-6), through: 6, by: 0.01).map(\.self)
    let y = activation(Tensor(x, shape: [x.count]), .gelu).values
    for (x, y) in zip(x, y) {
      #expect(abs(Double(y) - 0.5 * Double(x) * (1 + erf(Double(x) / 2.0.squareRoot()))) < 5e-7)
    }
  }

  @Test func arithmeticGradients() {
    expectGradient(of: { $0[0] + $0[1] * $0[2] - 3 * $0[0] }, at: randomTensors([2, 5], [2, 5], [2, 5]))
  }

  @Test func aSharedGradientIsNotOverwritten() {
    // y = x + 2x: the sum hands one buffer to both branches, and the second branch adds into it.
    let x = Tensor([1, 2], shape: [2]).trackingGradient
    (x + 2 * (x + x)).backward(from: Tensor([1, 10], shape: [2]))
    #expect(x.gradient.values == [5, 50])
  }

  @Test func residualAndSampleScaleGradients() {
    let inputs = randomTensors([2, 3, 8], [2, 3, 8], [8])
    expectGradient(of: { scaledResidual($0[0], $0[1], gamma: $0[2], factor: 1.5) }, at: inputs)
    expectGradient(of: { scaledBySample($0[0], [0, 1.25]) }, at: [inputs[0]])
  }

  @Test func reductionGradients() {
    let inputs = randomTensors([4, 9], [4, 9])
    expectGradient(of: { mean($0[0]) }, at: [inputs[0]])
    let apart = Tensor(inputs[1].values.map { $0 < 0 ? $0 - 0.5 : $0 + 0.5 }, shape: [4, 9])
    let zero = Tensor(repeating: 0, shape: [4, 9])
    expectGradient(of: { meanAbsoluteError($0[0], to: zero) }, at: [apart])
  }

  @Test func tokenShapingGradients() {
    expectGradient(of: { $0[0].channels(1..<3) * $0[0].channels(2..<4) }, at: randomTensors([2, 3, 5]))
    expectGradient(of: { repeated($0[0], count: 3) }, at: randomTensors([1, 4, 5]))
    expectGradient(of: { batchedProduct($0[0], $0[1]) }, at: randomTensors([2, 4, 5], [2, 3, 5]))
    expectGradient(of: { $0[0].prepending($0[1]).tokens(0..<3) }, at: randomTensors([2, 4, 5], [1, 1, 5]))
    expectGradient(of: { gatherTokens($0[0], [0, 2, 2, 1, 1, 0, 2, 2]) }, at: randomTensors([2, 3, 4]))
    expectGradient(of: { $0[0].reshaped([8, 3]) * $0[0].reshaped([8, 3]) }, at: randomTensors([2, 4, 3]))
  }

  @Test func gradientsOfUnusedParametersAreZero() {
    var random = SplitMix64(seed: 3)
    let used = Linear(inputSize: 2, outputSize: 2, using: &random)
    let unused = Linear(inputSize: 2, outputSize: 2, using: &random)
    let arena = ParameterArena(
      [("used", used), ("unused", unused)].flatMap { name, layer in
        layer.parameters.map { ("\(name).\($0.name)", $0.parameter) }
      })
    for value in arena.gradients.indices { arena.gradients[value] = 9 }
    arena.startStep()
    mean(used(Tensor([1, 2], shape: [1, 2]))).backward()
    arena.finishGradients()
    #expect(used.bias?.gradient.values == [0.5, 0.5])
    #expect(unused.weight.gradient.values == [0, 0, 0, 0])
    #expect(unused.bias?.gradient.values == [0, 0])
  }

  @Test func publishedLayoutsRoundTrip() {
    let parameter = Parameter(
      Tensor(repeating: 0, shape: [2, 3, 4, 5]), publishedShape: [5, 4, 2, 3], layout: .convolution)
    let values = (0..<120).map(Float.init)
    parameter.setPublished(values)
    #expect(parameter.published() == values)
    // published[o, i, y, x] = memory[y, x, i, o]
    let (y, x, input, output) = (1, 2, 3, 4)
    let memory = ((y * 3 + x) * 4 + input) * 5 + output
    let published = ((output * 4 + input) * 2 + y) * 3 + x
    #expect(parameter.value.values[memory] == values[published])
  }
}
