import Testing

@testable import Tensors

struct OperationCountTests {
  private let x = Tensor(repeating: 1, shape: [2, 5, 4])

  @Test func productsCountTwiceAndWithGradientsSixTimes() {
    let weight = Tensor(repeating: 1, shape: [3, 4])
    #expect(OperationCount.of { _ = linear(x, weight: weight) } == 2 * 10 * 3 * 4)
    #expect(OperationCount.of { _ = linear(x, weight: weight.trackingGradient) } == 6 * 10 * 3 * 4)
    #expect(OperationCount.of { withoutGradient { _ = linear(x, weight: weight.trackingGradient) } } == 2 * 10 * 3 * 4)
  }

  @Test func convolutionsCountAsDirectSums() {
    let image = Tensor(repeating: 1, shape: [2, 8, 8, 4])
    let weight = Tensor(repeating: 1, shape: [3, 3, 4, 6])
    #expect(OperationCount.of { _ = convolution(image, weight: weight, padding: 1) } == 2 * 2 * 64 * 9 * 4 * 6)
    #expect(
      OperationCount.of { _ = convolution(image, weight: weight, stride: 2, padding: 1) } == 2 * 2 * 16 * 9 * 4 * 6)
  }

  @Test func attentionCountsItsTwoProducts() {
    let qkv = Tensor(repeating: 1, shape: [2, 5, 12])
    #expect(OperationCount.of { _ = attention(qkv: qkv, heads: 2) } == 2 * (2 * 2 * 5 * 5 * 4))
  }

  @Test func otherOperationsCountNothing() {
    #expect(OperationCount.of { _ = x.trackingGradient + x } == 0)
  }
}
