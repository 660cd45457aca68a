public import Tensors

/// An affine map over the last axis: `y = x · Wᵀ + b`.
public struct Linear: Module {
  /// Shape `[out, in]`.
  public let weight: Parameter
  /// Shape `[out]`.
  public let bias: Parameter?

  /// Weights and bias uniform in ±1/√in.
  /// - Parameter publishedShape: Where the published weight is a 1×1 convolution, `[out, in, 1, 1]`.
  public init(
    inputSize: Int, outputSize: Int, hasBias: Bool = true, publishedShape: [Int]? = nil,
    using random: inout SplitMix64
  ) {
    let bound = 1 / Float(inputSize).squareRoot()
    weight = Parameter(
      .uniform(in: -bound...bound, shape: [outputSize, inputSize], using: &random), publishedShape: publishedShape)
    bias = hasBias ? Parameter(.uniform(in: -bound...bound, shape: [outputSize], using: &random)) : nil
  }

  /// - Parameter x: Shape `[..., in]`.
  /// - Returns: Shape `[..., out]`.
  public func callAsFunction(_ x: Tensor) -> Tensor { linear(x, weight: weight.value, bias: bias?.value) }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    if let bias { body("bias", bias) }
  }
}
