import Kernels
public import Tensors

/// Between which points of images bilinear resizing interpolates.
public enum ResizingGrid: Sendable {
  /// Pixel centres: PyTorch's `interpolate` with corners not aligned.
  case pixelCenters
  /// Upper left corners of pixels: TensorFlow 1's `ResizeBilinear`. The picture moves up and to the left a little.
  case pixelCorners
}

/// Resizes images bilinearly, without anti-aliasing.
/// - Parameters:
///   - images: Shape `[B, H, W, C]`.
///   - height: Rows of the result.
///   - width: Columns of the result.
///   - grid: Where the result's pixels lie among those of the images.
/// - Returns: Shape `[B, height, width, C]`, outside the tape.
public func resized(
  _ images: Tensor, height: Int, width: Int, grid: ResizingGrid = .pixelCenters
) -> Tensor {
  let (batch, inputHeight, inputWidth, channels) = (images.shape[0], images.shape[1], images.shape[2], images.channels)
  if inputHeight == height && inputWidth == width { return images.detached }
  let rows = (0..<height).map { LinearTap($0, of: height, input: inputHeight, grid) }
  let columns = (0..<width).map { LinearTap($0, of: width, input: inputWidth, grid) }
  let y = Tensor(uninitialized: [batch, height, width, channels])
  parallelFor(batch * height) { index in
    let (sample, row) = (index / height, rows[index % height])
    let upper = images.pointer + (sample * inputHeight + row.first) * inputWidth * channels
    let lower = images.pointer + (sample * inputHeight + row.second) * inputWidth * channels
    let target = y.pointer + index * width * channels
    for (x, column) in columns.enumerated() {
      for channel in 0..<channels {
        let (left, right) = (column.first * channels + channel, column.second * channels + channel)
        let above = upper[left] + (upper[right] - upper[left]) * column.share
        let below = lower[left] + (lower[right] - lower[left]) * column.share
        target[x * channels + channel] = above + (below - above) * row.share
      }
    }
  }
  return y
}

/// The two inputs that an output lies between, and how far it is from the first.
private struct LinearTap {
  let first: Int
  let second: Int
  let share: Float

  init(_ output: Int, of outputs: Int, input inputs: Int, _ grid: ResizingGrid) {
    let position =
      switch grid {
      case .pixelCenters: max(0, (Float(output) + 0.5) * Float(inputs) / Float(outputs) - 0.5)
      case .pixelCorners: Float(output) * (Float(inputs) / Float(outputs))
      }
    first = min(Int(position), inputs - 1)
    second = min(first + 1, inputs - 1)
    share = position - Float(first)
  }
}
