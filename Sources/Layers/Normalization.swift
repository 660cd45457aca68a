public import Tensors

/// Group normalisation with a gain and a bias per channel, optionally fused with SiLU.
public struct GroupNorm: Module {
  /// Shape `[C]`.
  public let weight: Parameter
  /// Shape `[C]`.
  public let bias: Parameter
  /// The number of groups the channels fall into.
  public let groups: Int
  /// Added to the variance.
  public let epsilon: Float
  /// What follows in the same pass.
  public let activation: NormActivation

  /// Gains 1, biases 0.
  public init(channels: Int, groups: Int = 32, epsilon: Float = 1e-6, activation: NormActivation = .none) {
    weight = Parameter(Tensor(repeating: 1, shape: [channels]))
    bias = Parameter(Tensor(repeating: 0, shape: [channels]))
    self.groups = groups
    self.epsilon = epsilon
    self.activation = activation
  }

  /// - Parameter x: Shape `[B, ..., C]`.
  /// - Returns: The shape of `x`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    groupNorm(
      x, groups: groups, weight: weight.value, bias: bias.value, epsilon: epsilon, activation: activation)
  }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    body("bias", bias)
  }
}

/// Normalisation of every token over its channels, with a gain and a bias per channel.
public struct LayerNorm: Module {
  /// Shape `[C]`.
  public let weight: Parameter
  /// Shape `[C]`.
  public let bias: Parameter
  /// Added to the variance.
  public let epsilon: Float

  /// Gains 1, biases 0.
  public init(channels: Int, epsilon: Float = 1e-5) {
    weight = Parameter(Tensor(repeating: 1, shape: [channels]))
    bias = Parameter(Tensor(repeating: 0, shape: [channels]))
    self.epsilon = epsilon
  }

  /// - Parameter x: Shape `[..., C]`.
  /// - Returns: The shape of `x`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    layerNorm(x, weight: weight.value, bias: bias.value, epsilon: epsilon)
  }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    body("bias", bias)
  }
}

/// Division of every token by its root mean square, with a gain per channel.
public struct RMSNorm: Module {
  /// Shape `[C]`.
  public let weight: Parameter
  /// Added to the mean square.
  public let epsilon: Float

  /// Gains 1.
  public init(channels: Int, epsilon: Float = 1e-5) {
    weight = Parameter(Tensor(repeating: 1, shape: [channels]))
    self.epsilon = epsilon
  }

  /// - Parameter x: Shape `[..., C]`.
  /// - Returns: The shape of `x`.
  public func callAsFunction(_ x: Tensor) -> Tensor { rmsNorm(x, weight: weight.value, epsilon: epsilon) }

  /// Visits `weight`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) { body("weight", weight) }
}

/// Learned vectors looked up by index.
public struct Embedding: Module {
  /// Shape `[count, size]`.
  public let weight: Parameter

  /// Vectors from a normal distribution.
  public init(count: Int, size: Int, standardDeviation: Float = 0.02, using random: inout SplitMix64) {
    weight = Parameter(.normal(standardDeviation: standardDeviation, shape: [count, size], using: &random))
  }

  /// - Parameters:
  ///   - indices: Rows in `0..<count`.
  ///   - shape: The leading axes of the result; `[N]` by default.
  /// - Returns: Shape `shape + [size]`.
  public func callAsFunction(_ indices: [Int32], shape: [Int]? = nil) -> Tensor {
    embedding(weight.value, indices, shape: shape)
  }

  /// Visits `weight`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) { body("weight", weight) }
}
