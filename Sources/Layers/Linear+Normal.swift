public import Tensors

extension Linear {
  /// Weights from a normal distribution, no bias. A deviation of 0 starts with zeros.
  public init(
    inputSize: Int, outputSize: Int, standardDeviation: Float, using random: inout SplitMix64
  ) {
    let shape = [outputSize, inputSize]
    weight = Parameter(
      standardDeviation == 0
        ? Tensor(repeating: 0, shape: shape)
        : .normal(standardDeviation: standardDeviation, shape: shape, using: &random))
    bias = nil
    inertBias = nil
  }
}
