import Kernels
import Testing

@testable import Tensors

struct OperationCountTests {
  /// What forward and backward of a layer count.
  private func count(_ body: () -> Tensor) -> (forward: Int, all: Int) {
    let operations = OperationCount()
    return OperationCount.$current.withValue(operations) {
      let y = body()
      let forward = operations.total
      mean(y).backward()
      return (forward, operations.total)
    }
  }

  private func leaf(_ shape: [Int]) -> Tensor { Tensor(repeating: 0.5, shape: shape).trackingGradient }

  @Test func aLinearLayerCountsTwoOperationsPerWeightAndRowInEachOfThreePasses() {
    let found = count { linear(leaf([2, 5, 3]), weight: leaf([7, 3])) }
    #expect(found.forward == 2 * 10 * 3 * 7)
    #expect(found.all == 3 * found.forward)
  }

  @Test func aConvolutionCountsDirectSumsWhateverTheAlgorithm() {
    for algorithm in ConvolutionAlgorithm.allCases {
      let found = count {
        convolution(leaf([2, 8, 6, 16]), weight: leaf([3, 3, 16, 32]), padding: 1, algorithm: algorithm)
      }
      #expect(found.forward == 2 * 2 * 8 * 6 * 32 * 9 * 16)
      #expect(found.all == 3 * found.forward)
    }
  }

  @Test func aFrozenLayerCountsNoGradientOfItsWeights() {
    let found = count { linear(leaf([10, 3]), weight: Tensor(repeating: 1, shape: [7, 3])) }
    #expect(found.all == 2 * found.forward)
  }

  @Test func attentionCountsItsProductsWithoutThoseOfRecomputation() {
    let found = count { attention(qkv: leaf([2, 16, 3 * 8]), heads: 2) }
    #expect(found.forward == 2 * 2 * 2 * 2 * 16 * 16 * 4)
    #expect(found.all == 3 * found.forward)
  }

  @Test func withoutACountNothingIsCounted() {
    #expect(OperationCount.current == nil)
    let operations = OperationCount()
    _ = linear(leaf([10, 3]), weight: leaf([7, 3]))
    #expect(operations.total == 0)
  }
}
