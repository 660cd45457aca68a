import CKernels

// Convolutions as matrix products: windows are gathered into the rows of a matrix, a block of output pixels at a time,
// so that the block stays in L2 and no buffer grows with the image.

/// `y = bias + windows(x)·weight`.
func convolutionByColumns(
  _ x: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?,
  into y: UnsafeMutablePointer<Float>, _ shape: ConvolutionShape
) {
  let pixels = shape.batch * shape.outputHeight * shape.outputWidth
  if shape.isPointwise {
    PackedMatrix(MatrixView(weight, rows: shape.inputChannels, columns: shape.outputChannels)).multiply(
      MatrixView(x, rows: pixels, columns: shape.inputChannels),
      into: MatrixView(y, rows: pixels, columns: shape.outputChannels))
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
      into: MatrixView(out, rows: block.count, columns: shape.outputChannels))
    if let bias { kernels_add_rows(block.count, shape.outputChannels, bias, out) }
  }
}

/// `dX (+)= windows(dY)·weightᵀ`.
///
/// Input pixels whose coordinates agree modulo the stride see the same taps. So each of these stride² phases is an
/// ordinary stride-1 convolution of dY by some of the taps, flipped and transposed: nothing is scattered, and threads
/// share no output.
func inputGradientByColumns(
  _ dY: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool
) {
  if shape.isPointwise {
    let pixels = shape.batch * shape.height * shape.width
    return gemm(
      MatrixView(dY, rows: pixels, columns: shape.outputChannels),
      MatrixView(weight, rows: shape.inputChannels, columns: shape.outputChannels).transposed,
      into: MatrixView(dX, rows: pixels, columns: shape.inputChannels), accumulating: accumulating)
  }
  for row in 0..<min(shape.stride, shape.height) {
    for column in 0..<min(shape.stride, shape.width) {
      let phase = InputPhase(row: row, column: column, of: shape)
      phase.computeGradient(dY, weight: weight, into: dX, accumulating: accumulating)
    }
  }
}

/// The input pixels (row + i·stride, column + j·stride) of every image.
private struct InputPhase {
  let shape: ConvolutionShape
  let row: Int, column: Int
  /// The windows over dY that give these pixels' gradient.
  let window: kernels_window
  /// The first tap, down and across, that these pixels meet; the others follow `stride` apart.
  let firstTap: (row: Int, column: Int)

  init(row: Int, column: Int, of shape: ConvolutionShape) {
    self.shape = shape
    self.row = row
    self.column = column
    let stride = shape.stride
    let (paddedRow, paddedColumn) = (row + shape.verticalPadding, column + shape.horizontalPadding)
    firstTap = (paddedRow % stride, paddedColumn % stride)
    let tapRows = max(0, (shape.kernelHeight - firstTap.row + stride - 1) / stride)
    let tapColumns = max(0, (shape.kernelWidth - firstTap.column + stride - 1) / stride)
    window = kernels_window(
      height: shape.outputHeight, width: shape.outputWidth, channels: shape.outputChannels,
      output_height: (shape.height - row + stride - 1) / stride,
      output_width: (shape.width - column + stride - 1) / stride,
      kernel_height: tapRows, kernel_width: tapColumns, stride: 1,
      top: tapRows - 1 - paddedRow / stride,
      left: tapColumns - 1 - paddedColumn / stride)
  }

  func computeGradient(
    _ dY: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, into dX: UnsafeMutablePointer<Float>,
    accumulating: Bool
  ) {
    let pixels = shape.batch * window.output_height * window.output_width
    let channels = shape.inputChannels
    let taps = flippedTransposedTaps(of: weight)
    let weights = MatrixView(taps.pointer, rows: window.taps, columns: channels)
    parallelChunks(pixels, of: window.pixelsPerBlock) { block in
      let columns = window.columns(of: dY, block)
      let rows = MatrixView(columns.pointer, rows: block.count, columns: window.taps)
      if shape.stride == 1 {  // the phase is the whole image
        let out = MatrixView(dX + block.lowerBound * channels, rows: block.count, columns: channels)
        return gemmOnThisThread(rows, weights, into: out, accumulating: accumulating)
      }
      let values = Storage(count: block.count * channels)
      gemmOnThisThread(
        rows, weights, into: MatrixView(values.pointer, rows: block.count, columns: channels))
      scatter(values.pointer, block, into: dX, accumulating: accumulating)
    }
  }

  /// `[tapRows, tapColumns, outputChannels, inputChannels]`, taps in reverse.
  private func flippedTransposedTaps(of weight: UnsafePointer<Float>) -> Storage {
    let size = shape.inputChannels * shape.outputChannels
    let result = Storage(count: window.taps * shape.inputChannels)
    let count = window.kernel_height * window.kernel_width
    parallelFor(count) { index in
      let mirrored = count - 1 - index
      let tapRow = firstTap.row + shape.stride * (mirrored / window.kernel_width)
      let tapColumn = firstTap.column + shape.stride * (mirrored % window.kernel_width)
      kernels_transpose(
        shape.inputChannels, shape.outputChannels, weight + (tapRow * shape.kernelWidth + tapColumn) * size,
        shape.outputChannels, result.pointer + index * size, shape.inputChannels)
    }
    return result
  }

  /// Puts the values of phase pixels `block` to their places in the image.
  private func scatter(
    _ values: UnsafePointer<Float>, _ block: Range<Int>, into dX: UnsafeMutablePointer<Float>, accumulating: Bool
  ) {
    let (channels, perImage) = (shape.inputChannels, window.output_height * window.output_width)
    for pixel in block {
      let (i, j) = (pixel % perImage / window.output_width, pixel % window.output_width)
      let imageRow = pixel / perImage * shape.height + row + i * shape.stride
      let target = dX + (imageRow * shape.width + column + j * shape.stride) * channels
      let source = values + (pixel - block.lowerBound) * channels
      if accumulating {
        kernels_add(channels, source, target)
      } else {
        target.update(from: source, count: channels)
      }
    }
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
  fileprivate init(forwardOf shape: ConvolutionShape) {
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
