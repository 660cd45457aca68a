public import Kernels

/// What becomes of the pixels in a pooling window.
public typealias Pooling = Kernels.Pooling

/// Reduces each window of an image to its largest or mean value, channel by channel.
/// - Parameters:
///   - x: Shape `[B, H, W, C]`.
///   - pooling: The maximum or the mean, and whether the mean counts padding.
///   - kernelSize: The window's side.
///   - stride: Pixels from window to window.
///   - padding: Pixels around each image, at most half a window.
/// - Returns: Shape `[B, H', W', C]` with `H' = ⌊(H + 2·padding − kernelSize) / stride⌋ + 1`, `W'` likewise.
public func pool(_ x: Tensor, _ pooling: Pooling, kernelSize: Int, stride: Int, padding: Int = 0) -> Tensor {
  require(
    x.dimensionCount == 4 && stride > 0 && padding >= 0 && 2 * padding <= kernelSize
      && min(x.shape[1], x.shape[2]) + 2 * padding >= kernelSize,
    "pool: x \(x.shape), kernel \(kernelSize), stride \(stride), padding \(padding)")
  let shape = PoolingShape(
    batch: x.shape[0], height: x.shape[1], width: x.shape[2], channels: x.channels, kernelSize: kernelSize,
    stride: stride, padding: padding)
  let y = Tensor(uninitialized: [shape.batch, shape.outputHeight, shape.outputWidth, shape.channels])
  pooling.apply(x.pointer, into: y.pointer, shape)
  let xNode = x.node
  let kept = pooling == .maximum ? (x: x.detached, y: y.detached) : nil
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      if !accumulating { fill(dX.pointer, count: dX.count, with: 0) }
      pooling.addGradient(dY.pointer, x: kept?.x.pointer, y: kept?.y.pointer, to: dX.pointer, shape)
    }
  }
}
