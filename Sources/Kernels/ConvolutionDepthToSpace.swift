import CKernels

/// `y[n, 2i + a, 2j + b, c] = x[n, i, j, (2a + b)·channels + c]`; x has `height × width` pixels.
public func depthToSpace(
  _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, batch: Int, height: Int, width: Int, channels: Int
) {
  let rowSize = 4 * width * channels
  parallelFor(batch * height) { kernels_depth_to_space(1, width, channels, x + $0 * rowSize, y + $0 * rowSize) }
}

/// The inverse of `depthToSpace`, which is also its gradient: `x (+)= …`.
public func spaceToDepth(
  _ y: UnsafePointer<Float>, into x: UnsafeMutablePointer<Float>, batch: Int, height: Int, width: Int, channels: Int,
  accumulating: Bool
) {
  let rowSize = 4 * width * channels
  parallelFor(batch * height) {
    kernels_space_to_depth(1, width, channels, y + $0 * rowSize, x + $0 * rowSize, accumulating ? 1 : 0)
  }
}
