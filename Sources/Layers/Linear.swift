public import Tensors

/// An affine map over the last axis: `y = x · Wᵀ + b`.
public struct Linear: Module {
  /// Shape `[out, in]`.
  public let weight: Parameter
  /// Shape `[out]`.
  public let bias: Parameter?
  let inertBias: Range<Int>?

  /// Weights and bias uniform in ±1/√in.
  /// - Parameters:
  ///   - inputSize: Channels of the input.
  ///   - outputSize: Channels of the output.
  ///   - hasBias: Whether a bias is added.
  ///   - publishedShape: Where the published weight is a 1×1 convolution, `[out, in, 1, 1]`.
  ///   - inertBias: Outputs that become the keys of attention. A bias common to all keys cancels in the softmax, so its
  ///     gradient is zero; summed in floats it would be noise, which Adam scales up to whole steps of the learning
  ///     rate.
  ///   - random: Gives the first weights.
  public init(
    inputSize: Int, outputSize: Int, hasBias: Bool = true, publishedShape: [Int]? = nil,
    inertBias: Range<Int>? = nil, using random: inout SplitMix64
  ) {
    let bound = 1 / Float(inputSize).squareRoot()
    weight = Parameter(
      .uniform(in: -bound...bound, shape: [outputSize, inputSize], using: &random), publishedShape: publishedShape)
    bias = hasBias ? Parameter(.uniform(in: -bound...bound, shape: [outputSize], using: &random)) : nil
    self.inertBias = inertBias
  }

  /// - Parameter x: Shape `[..., in]`.
  /// - Returns: Shape `[..., out]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    linear(x, weight: weight.value, bias: bias?.value, inertBias: inertBias)
  }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    if let bias { body("bias", bias) }
  }
}
