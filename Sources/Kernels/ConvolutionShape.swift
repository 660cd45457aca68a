/// How a convolution is computed. All ways agree to rounding; see `ConvolutionAlgorithm.winograd4` for its error.
public enum ConvolutionAlgorithm: Sendable, Equatable, CaseIterable {
  /// The fastest way known for the shape.
  case automatic
  /// Winograd's minimal filtering F(4×4, 3×3): a quarter of the multiplications. Errors against float64 stay below
  /// 2e-5 of the largest output. Shapes other than 3×3, stride 1, padding 1 take `gemm`.
  case winograd4
  /// Winograd's F(2×2, 3×3): 4/9 of the multiplications, as exact as `gemm`. Other shapes take `gemm`.
  case winograd2
  /// Windows gathered into matrix rows, block by block, and multiplied by the weights.
  case gemm
}

/// The extents of a convolution over images `[batch, height, width, channels]`.
public struct ConvolutionShape: Sendable, Equatable {
  /// Images.
  public let batch: Int
  /// The input's pixels.
  public let height: Int, width: Int
  /// The depth of input and output.
  public let inputChannels: Int, outputChannels: Int
  /// The window's pixels.
  public let kernelHeight: Int, kernelWidth: Int
  /// Pixels from window to window, down and across.
  public let stride: Int
  /// Zero rows above and below the input, zero columns left and right of it.
  public let verticalPadding: Int, horizontalPadding: Int

  /// The extents given; the output's follow.
  public init(
    batch: Int, height: Int, width: Int, inputChannels: Int, outputChannels: Int, kernelHeight: Int = 3,
    kernelWidth: Int = 3, stride: Int = 1, verticalPadding: Int = 1, horizontalPadding: Int = 1
  ) {
    self.batch = batch
    self.height = height
    self.width = width
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernelHeight = kernelHeight
    self.kernelWidth = kernelWidth
    self.stride = stride
    self.verticalPadding = verticalPadding
    self.horizontalPadding = horizontalPadding
  }

  /// The output's rows: ⌊(height + 2·padding − kernel) / stride⌋ + 1.
  public var outputHeight: Int { (height + 2 * verticalPadding - kernelHeight) / stride + 1 }
  /// The output's columns.
  public var outputWidth: Int { (width + 2 * horizontalPadding - kernelWidth) / stride + 1 }
  /// Floats in the input.
  public var inputCount: Int { batch * height * width * inputChannels }
  /// Floats in the weights.
  public var weightCount: Int { kernelHeight * kernelWidth * inputChannels * outputChannels }
  /// Floats in the output.
  public var outputCount: Int { batch * outputHeight * outputWidth * outputChannels }
  /// Floating-point operations of one pass done directly, a multiplication and an addition counted as two.
  public var operationCount: Int {
    2 * batch * outputHeight * outputWidth * outputChannels * kernelHeight * kernelWidth * inputChannels
  }

  /// Whether each pass is a plain matrix product over pixels.
  var isPointwise: Bool {
    kernelHeight == 1 && kernelWidth == 1 && stride == 1 && verticalPadding == 0 && horizontalPadding == 0
  }
}
