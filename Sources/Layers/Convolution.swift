public import Tensors

/// A convolution over images: `y = x ∗ W + b`.
public struct Convolution: Module {
  /// Shape `[kernelHeight, kernelWidth, in, out]`; published `[out, in, kernelHeight, kernelWidth]`.
  public let weight: Parameter
  /// Shape `[out]`.
  public let bias: Parameter?
  /// Pixels from window to window.
  public let stride: Int
  /// Zeros around each image.
  public let padding: Padding

  /// A square window. Weights and bias uniform in ±1/√(in·kernel²), PyTorch's default.
  public init(
    inputChannels: Int, outputChannels: Int, kernelSize: Int = 3, stride: Int = 1, padding: Padding = 0,
    hasBias: Bool = true, using random: inout SplitMix64
  ) {
    self.init(
      inputChannels: inputChannels, outputChannels: outputChannels, kernelHeight: kernelSize, kernelWidth: kernelSize,
      stride: stride, padding: padding, hasBias: hasBias, using: &random)
  }

  /// A window of any extent. Weights and bias uniform in ±1/√(in·kernelHeight·kernelWidth).
  public init(
    inputChannels: Int, outputChannels: Int, kernelHeight: Int, kernelWidth: Int, stride: Int = 1,
    padding: Padding = 0, hasBias: Bool = true, using random: inout SplitMix64
  ) {
    let bound = 1 / Float(inputChannels * kernelHeight * kernelWidth).squareRoot()
    weight = Parameter(
      .uniform(in: -bound...bound, shape: [kernelHeight, kernelWidth, inputChannels, outputChannels], using: &random),
      publishedShape: [outputChannels, inputChannels, kernelHeight, kernelWidth], layout: .convolution)
    bias = hasBias ? Parameter(.uniform(in: -bound...bound, shape: [outputChannels], using: &random)) : nil
    self.stride = stride
    self.padding = padding
  }

  /// - Parameter x: Shape `[B, H, W, in]`.
  /// - Returns: Shape `[B, H', W', out]`, `H' = ⌊(H + 2·padding − kernelHeight) / stride⌋ + 1`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    convolution(x, weight: weight.value, bias: bias?.value, stride: stride, padding: padding)
  }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    if let bias { body("bias", bias) }
  }
}

/// A 3×3 convolution of each channel by itself, stride 1, padding 1.
public struct DepthwiseConvolution: Module {
  /// Shape `[3, 3, channels]`; published `[channels, 1, 3, 3]`.
  public let weight: Parameter
  /// Shape `[channels]`.
  public let bias: Parameter?

  /// Weights and bias uniform in ±1/3, PyTorch's default for nine inputs.
  public init(channels: Int, hasBias: Bool = true, using random: inout SplitMix64) {
    let bound: Float = 1 / 3
    weight = Parameter(
      .uniform(in: -bound...bound, shape: [3, 3, channels], using: &random), publishedShape: [channels, 1, 3, 3],
      layout: .depthwise)
    bias = hasBias ? Parameter(.uniform(in: -bound...bound, shape: [channels], using: &random)) : nil
  }

  /// - Parameter x: Shape `[B, H, W, channels]`.
  /// - Returns: The shape of `x`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    depthwiseConvolution(x, weight: weight.value, bias: bias?.value)
  }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    if let bias { body("bias", bias) }
  }
}
