import Kernels
import Tensors
import Testing

/// An image's forward pass has the same bits whatever images are beside it: one rank with eight images and four ranks
/// with two then differ in the order of sums over images alone, which the entropy loss does not amplify.
struct BatchInvarianceTests {
  /// Compares every sample of `operation` over a batch with `operation` over that sample by itself.
  private func expectSameBits(_ shape: [Int], _ operation: (Tensor) -> Tensor, _ comment: Comment? = nil) {
    let x = randomTensors(shape, seed: 11)[0]
    let whole = operation(x).values
    let size = x.count / shape[0]
    for sample in 0..<shape[0] {
      let alone = operation(
        Tensor(x.values[sample * size..<(sample + 1) * size], shape: [1] + shape.dropFirst())
      ).values
      let part = Array(whole[sample * alone.count..<(sample + 1) * alone.count])
      #expect(part == alone, comment)
    }
  }

  @Test(arguments: [(65, 32, 96), (64, 128, 32), (41, 32, 128), (7, 18, 256), (257, 512, 64), (1, 256, 1000)])
  func linearMaps(rows: Int, inputs: Int, outputs: Int) {
    let weights = randomTensors([outputs, inputs], [outputs])
    expectSameBits([5, rows, inputs]) { linear($0, weight: weights[0], bias: weights[1]) }
  }

  @Test(arguments: [(3, 32, 16), (32, 32, 16), (32, 64, 9), (18, 64, 8), (64, 3, 16), (128, 128, 8)])
  func convolutions(inputs: Int, outputs: Int, side: Int) {
    for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (1, 1, 0), (4, 4, 0), (4, 2, 1)] {
      let weight = randomTensors([kernel, kernel, inputs, outputs])[0]
      expectSameBits(
        [3, side, side, inputs],
        {
          convolution($0, weight: weight, stride: stride, padding: Padding(padding))
        },
        "\(kernel)×\(kernel), stride \(stride)")
    }
  }

  @Test func attentionAndNorms() {
    expectSameBits([4, 65, 96]) { attention(qkv: $0, heads: 4) }
    let gains = randomTensors([64], [64])
    expectSameBits([3, 49, 64]) { layerNorm($0, weight: gains[0], bias: gains[1]) }
    expectSameBits([3, 64, 64]) { channelMoments($0).deviation }
    expectSameBits([3, 8, 8, 64]) { activation($0, .gelu) }
    expectSameBits([3, 9, 9, 64]) { groupNorm($0, groups: 32, weight: gains[0], bias: gains[1], activation: .silu) }
  }

  @Test func merging() {
    expectSameBits([4, 65, 96]) { meanKeys(qkv: $0, heads: 4) }
    expectSameBits([4, 65, 96]) { x in
      let plan = mergePlan(metric: meanKeys(qkv: x, heads: 4), count: 20)
      let sizes = [Float](repeating: 1, count: x.shape[0] * 65)
      return mergeTokens(meanKeys(qkv: x, heads: 2), sizes: sizes, plan: plan).tokens
    }
  }
}
