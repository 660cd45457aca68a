import CKernels

// Depthwise 3×3 convolutions, stride 1, padding 1: each channel by a window of its own. Weights `[3, 3, channels]`.

/// `y[n, i, j, c] = bias[c] + Σ x[n, i + a − 1, j + b − 1, c]·weight[a, b, c]`.
public func depthwiseConvolution(
  _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
  into y: UnsafeMutablePointer<Float>, batch: Int, height: Int, width: Int, channels: Int
) {
  let imageSize = height * width * channels
  parallelFor(batch * height) { index in
    let image = index / height * imageSize
    kernels_depthwise_row(height, width, channels, index % height, x + image, weight, bias, y + image, 0, 0)
  }
}

/// `dX[n, i, j, c] (+)= Σ dY[n, i − a + 1, j − b + 1, c]·weight[a, b, c]`.
public func depthwiseInputGradient(
  _ dY: UnsafePointer<Float>, weight: UnsafePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  batch: Int, height: Int, width: Int, channels: Int, accumulating: Bool
) {
  let imageSize = height * width * channels
  parallelFor(batch * height) { index in
    let image = index / height * imageSize
    kernels_depthwise_row(
      height, width, channels, index % height, dY + image, weight, nil, dX + image, 1, accumulating ? 1 : 0)
  }
}

/// `dW[a, b, c] (+)= Σ x[n, i + a − 1, j + b − 1, c]·dY[n, i, j, c]`.
public func depthwiseWeightGradient(
  _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, into dW: UnsafeMutablePointer<Float>,
  batch: Int, height: Int, width: Int, channels: Int, accumulating: Bool
) {
  if !accumulating { fill(dW, count: 9 * channels, with: 0) }
  let imageSize = height * width * channels
  // Threads share channels, not pixels: every sum has one owner and one order.
  parallelChunks(channels, of: 32) { range in
    for image in 0..<batch {
      kernels_depthwise_weight_gradient(
        height, width, channels, range.lowerBound, range.count, x + image * imageSize, dY + image * imageSize, dW)
    }
  }
}
