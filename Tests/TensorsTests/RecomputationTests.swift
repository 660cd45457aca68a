import Kernels
import Layers
import Tensors
import Testing

/// Computing again what was not kept.
struct RecomputationTests {
  private let names = ["convolution", "normWeight", "normBias", "linear", "gate", "down", "rmsWeight", "layerBias"]
  private let values = randomTensors([3, 3, 4, 8], [8], [8], [6, 8], [6, 8], [8, 6], [8], [8], seed: 3)

  /// A network in which every op whose result is computed again feeds one that needs it again.
  private func network(_ x: Tensor, _ p: [Tensor]) -> Tensor {
    let image = convolution(x, weight: p[0], padding: 1)
    let normalized = groupNorm(image, groups: 2, weight: p[1], bias: p[2], activation: .silu)
    let tokens = convolution(normalized, weight: p[0].transposedChannels, padding: 1).reshaped([2, 16, 4])
    let wide = linear(activation(tokens, .gelu), weight: Tensor(repeating: 0.3, shape: [8, 4]))
    let layer = layerNorm(wide, weight: p[6], bias: p[7])
    let up = linear(layer.reshaped([32, 8]), weight: p[4]).reshaped([2, 16, 6])
    let gated = swiGLU(gate: linear(layer, weight: p[3]), up: up)
    return rmsNorm(linear(gated, weight: p[5]), weight: p[6])
  }

  private func gradients(_ recomputation: Recomputation) -> [[Float]] {
    let arena = ParameterArena(zip(names, values).map { ($0, Parameter(Tensor($1.values, shape: $1.shape))) })
    arena.startStep()
    let x = randomTensors([2, 4, 4, 4], seed: 5)[0].trackingGradient
    let p = arena.entries.map(\.parameter.value)
    Recomputation.$current.withValue(recomputation) {
      // The second block's input is the first one's result; both read the same parameters.
      let once = recomputable([x], parameters: p) { network($0[0], p) }
      let image = linear(once, weight: Tensor(repeating: 0.1, shape: [4, 8])).reshaped([2, 4, 4, 4])
      let twice = recomputable([image], parameters: p) { network($0[0], p) }
      mean(twice * twice).backward()
    }
    return [x.gradient.values] + arena.entries.map { Array(arena.gradients[$0.range]) }
  }

  @Test(arguments: [Recomputation.elementwise, .blocks])
  func gradientsHaveTheSameBits(recomputation: Recomputation) {
    let expected = gradients(.none)
    #expect(expected.allSatisfy { $0.contains { $0 != 0 } })
    #expect(gradients(recomputation) == expected)
  }

  @Test(arguments: [Recomputation.none, .elementwise])
  func whatIsComputedAgainIsNotKept(recomputation: Recomputation) {
    Recomputation.$current.withValue(recomputation) {
      weak var kept: Storage?
      let x = randomTensors([2, 3, 8], seed: 5)[0].trackingGradient
      let weight = values[3].trackingGradient
      var y: Tensor
      do {
        let norm = rmsNorm(x, weight: values[6])
        kept = norm.storage
        y = linear(norm, weight: weight)
      }
      #expect((kept == nil) == (recomputation == .elementwise))
      y = mean(y)
      y.backward()
      #expect(weight.gradient.values.contains { $0 != 0 })
    }
  }

  @Test func aBlockKeepsNothingButItsInput() {
    Recomputation.$current.withValue(.blocks) {
      weak var inner: Storage?
      let x = randomTensors([2, 8], seed: 5)[0].trackingGradient
      let weight = values[3].trackingGradient
      let y = recomputable([x], parameters: [weight]) {
        let hidden = linear($0[0], weight: weight)
        inner = hidden.storage
        return hidden * hidden
      }
      #expect(inner == nil)
      mean(y).backward()
      #expect(x.gradient.values.contains { $0 != 0 } && weight.gradient.values.contains { $0 != 0 })
    }
  }
}

extension Tensor {
  /// A 3×3 weight from 8 to 4 channels out of one from 4 to 8.
  fileprivate var transposedChannels: Tensor { reshaped([3, 3, 8, 4]) }
}
