import CKernels

// Convolutions and the gradients of their weights as matrix products: windows are gathered into the rows of a matrix, a
// block of output pixels at a time, so that the block stays in L2 and no buffer grows with the image.

/// `y (+)= bias + windows(x)·weight`.
func convolutionByColumns(
  _ x: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?,
  into y: UnsafeMutablePointer<Float>, _ shape: ConvolutionShape, accumulating: Bool = false
) {
  let pixels = shape.batch * shape.outputHeight * shape.outputWidth
  if shape.isPointwise {
    PackedMatrix(MatrixView(weight, rows: shape.inputChannels, columns: shape.outputChannels)).multiply(
      MatrixView(x, rows: pixels, columns: shape.inputChannels),
      into: MatrixView(y, rows: pixels, columns: shape.outputChannels), accumulating: accumulating)
    if let bias { addRows(bias, to: y, rows: pixels, columns: shape.outputChannels) }
    return
  }
  let window = kernels_window(forwardOf: shape)
  let weights = PackedMatrix(MatrixView(weight, rows: window.taps, columns: shape.outputChannels))
  parallelChunks(pixels, of: window.pixelsPerBlock) { block in
    let columns = window.columns(of: x, block)
    let out = y + block.lowerBound * shape.outputChannels
    weights.multiplyOnThisThread(
      MatrixView(columns.pointer, rows: block.count, columns: window.taps),
      into: MatrixView(out, rows: block.count, columns: shape.outputChannels), accumulating: accumulating)
    if let bias { kernels_add_rows(block.count, shape.outputChannels, bias, out) }
  }
}

/// `dW (+)= windows(x)ᵀ·dY`, block after block in a fixed order.
func weightGradientByColumns(
  _ x: UnsafeMutablePointer<Float>, _ dY: UnsafeMutablePointer<Float>, into dW: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool
) {
  let pixels = shape.batch * shape.outputHeight * shape.outputWidth
  if shape.isPointwise {
    return gemm(
      MatrixView(x, rows: pixels, columns: shape.inputChannels).transposed,
      MatrixView(dY, rows: pixels, columns: shape.outputChannels),
      into: MatrixView(dW, rows: shape.inputChannels, columns: shape.outputChannels), accumulating: accumulating)
  }
  let window = kernels_window(forwardOf: shape)
  // Threads share each block: they gather its windows together, then each computes some rows of dW.
  let perBlock = 4 * window.pixelsPerBlock
  let columns = Storage(count: min(perBlock, pixels) * window.taps)
  for start in stride(from: 0, to: pixels, by: perBlock) {
    let block = start..<min(pixels, start + perBlock)
    parallelChunks(block.count, of: 64) { part in
      withUnsafePointer(to: window) {
        kernels_im2col(
          $0, block.lowerBound + part.lowerBound, part.count, x, columns.pointer + part.lowerBound * window.taps)
      }
    }
    gemm(
      MatrixView(columns.pointer, rows: block.count, columns: window.taps).transposed,
      MatrixView(dY + start * shape.outputChannels, rows: block.count, columns: shape.outputChannels),
      into: MatrixView(dW, rows: window.taps, columns: shape.outputChannels),
      accumulating: accumulating || start > 0)
  }
}

extension kernels_window {
  /// The windows of a convolution's input.
  init(forwardOf shape: ConvolutionShape) {
    self.init(
      height: shape.height, width: shape.width, channels: shape.inputChannels, output_height: shape.outputHeight,
      output_width: shape.outputWidth, kernel_height: shape.kernelHeight, kernel_width: shape.kernelWidth,
      stride: shape.stride, top: shape.verticalPadding, left: shape.horizontalPadding)
  }

  /// Floats in one window.
  fileprivate var taps: Int { kernel_height * kernel_width * channels }

  /// Half a megabyte of windows, and enough rows that the product's packing of the weights is cheap.
  fileprivate var pixelsPerBlock: Int { max(64, min(1024, (1 << 17) / max(taps, 1))) }

  /// The windows of output pixels `block` as rows.
  fileprivate func columns(of x: UnsafePointer<Float>, _ block: Range<Int>) -> Storage {
    let columns = Storage(count: block.count * taps)
    withUnsafePointer(to: self) { kernels_im2col($0, block.lowerBound, block.count, x, columns.pointer) }
    return columns
  }
}
