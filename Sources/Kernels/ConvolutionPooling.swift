import CKernels

/// What becomes of the pixels in a pooling window.
public enum Pooling: Sendable, Equatable {
  /// The largest; the gradient goes to the first of equals. Padding never wins.
  case maximum
  /// The mean; with `countsPadding`, zeros outside the image are counted as pixels.
  case average(countsPadding: Bool)
}

/// Windows, stride and padding of a pooling, square and the same on all sides, over `[batch, height, width, channels]`.
public struct PoolingShape: Sendable, Equatable {
  /// The input's extents.
  public let batch: Int, height: Int, width: Int, channels: Int
  /// The window's side, the distance between windows, and the pixels around the image.
  public let kernelSize: Int, stride: Int, padding: Int

  /// The extents given; the output's follow.
  public init(
    batch: Int, height: Int, width: Int, channels: Int, kernelSize: Int, stride: Int, padding: Int
  ) {
    self.batch = batch
    self.height = height
    self.width = width
    self.channels = channels
    self.kernelSize = kernelSize
    self.stride = stride
    self.padding = padding
  }

  /// ⌊(height + 2·padding − kernelSize) / stride⌋ + 1
  public var outputHeight: Int { (height + 2 * padding - kernelSize) / stride + 1 }
  /// ⌊(width + 2·padding − kernelSize) / stride⌋ + 1
  public var outputWidth: Int { (width + 2 * padding - kernelSize) / stride + 1 }

  fileprivate var window: kernels_window {
    kernels_window(
      height: height, width: width, channels: channels, output_height: outputHeight, output_width: outputWidth,
      kernel_height: kernelSize, kernel_width: kernelSize, stride: stride, top: padding, left: padding)
  }
}

extension Pooling {
  /// `y = ` the largest or mean value of each window, channel by channel.
  public func apply(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, _ shape: PoolingShape) {
    let window = shape.window
    parallelChunks(shape.batch * shape.outputHeight * shape.outputWidth, of: max(1, (1 << 14) / max(shape.channels, 1)))
    {
      pixels in
      withUnsafePointer(to: window) {
        switch self {
        case .maximum: kernels_max_pool($0, pixels.lowerBound, pixels.count, x, y)
        case .average(let countsPadding):
          kernels_average_pool($0, countsPadding ? 1 : 0, pixels.lowerBound, pixels.count, x, y)
        }
      }
    }
  }

  /// Adds the gradient with respect to the input to dX. `x` and `y` are read for the maximum only.
  public func addGradient(
    _ dY: UnsafePointer<Float>, x: UnsafePointer<Float>?, y: UnsafePointer<Float>?,
    to dX: UnsafeMutablePointer<Float>, _ shape: PoolingShape
  ) {
    let window = shape.window
    let inputSize = shape.height * shape.width * shape.channels
    let outputSize = shape.outputHeight * shape.outputWidth * shape.channels
    // Windows overlap, so threads share images and channels, not pixels.
    let blocks = (shape.channels + 63) / 64
    parallelFor(shape.batch * blocks) { index in
      let (image, first) = (index / blocks, index % blocks * 64)
      let count = min(64, shape.channels - first)
      let (input, output) = (image * inputSize, image * outputSize)
      withUnsafePointer(to: window) {
        switch self {
        case .maximum:
          guard let x, let y else { fatalError("Pooling.maximum: the gradient needs the input and the output") }
          kernels_max_pool_gradient($0, first, count, x + input, y + output, dY + output, dX + input)
        case .average(let countsPadding):
          kernels_average_pool_gradient($0, countsPadding ? 1 : 0, first, count, dY + output, dX + input)
        }
      }
    }
  }
}
