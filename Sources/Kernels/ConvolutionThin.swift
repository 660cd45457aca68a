import CKernels

// Convolutions with a few channels on one side, as images have. Vectors hold 16 channels: instead of filling up 3, the
// taps of a window and its channels make one axis of a matrix together, 27 of 32 columns for a 3×3 window.

extension ConvolutionShape {
  /// Whether the input is the thin side.
  var isThinAtInput: Bool { isThin(inputChannels, outputChannels) }
  /// Whether the output is, and each of its pixels sees as many as each pixel of the input gives to.
  var isThinAtOutput: Bool { isThin(outputChannels, inputChannels) && stride == 1 && !isThinAtInput }

  private func isThin(_ channels: Int, _ others: Int) -> Bool {
    channels <= 4 && others % kernels_winograd_lanes == 0 && !isPointwise && kernelHeight * kernelWidth * channels <= 64
  }
}

/// `y = bias + Σ x·weight` where `isThinAtOutput`.
func convolutionToThin(
  _ x: UnsafeMutablePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
  into y: UnsafeMutablePointer<Float>, _ shape: ConvolutionShape
) {
  let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
  let windows = ThinWindows(backwardOf: shape)
  let weights = windows.weights(inputs) { tap, output, input in
    weight[((windows.taps - 1 - tap) * inputs + input) * outputs + output]
  }
  windows.spread(x, weights, into: y, bias: bias, accumulating: false)
}

/// `dX (+)= Σ dY·weight` where `isThinAtInput`.
func inputGradientToThin(
  _ dY: UnsafeMutablePointer<Float>, weight: UnsafePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool
) {
  let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
  let windows = ThinWindows(forwardOf: shape)
  let weights = windows.weights(outputs) { tap, input, output in weight[(tap * inputs + input) * outputs + output] }
  windows.spread(dY, weights, into: dX, bias: nil, accumulating: accumulating)
}

/// `dX (+)= Σ dY·weight` where `isThinAtOutput`: a convolution of dY with the mirrored weights.
func inputGradientFromThin(
  _ dY: UnsafeMutablePointer<Float>, weight: UnsafePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool
) {
  let (inputs, outputs, taps) = (shape.inputChannels, shape.outputChannels, shape.kernelHeight * shape.kernelWidth)
  let mirrored = Storage(count: shape.weightCount)
  for tap in 0..<taps {
    kernels_transpose(
      inputs, outputs, weight + (taps - 1 - tap) * inputs * outputs, outputs,
      mirrored.pointer + tap * inputs * outputs, inputs)
  }
  convolutionByColumns(
    dY, weight: mirrored.pointer, bias: nil, into: dX, shape.mirrored, accumulating: accumulating)
}

/// `dW (+)= Σ x·dY` where one side is thin.
func weightGradientOfThin(
  _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, into dW: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool
) {
  let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
  let isAtInput = shape.isThinAtInput
  let windows = isAtInput ? ThinWindows(forwardOf: shape) : ThinWindows(backwardOf: shape)
  let (thin, wide) = isAtInput ? (inputs, outputs) : (outputs, inputs)
  let sums = isAtInput ? windows.products(x, dY, wide) : windows.products(dY, x, wide)
  for tap in 0..<windows.taps {
    for channel in 0..<thin {
      // At the output, windows lie the other way round.
      let source = sums.pointer + ((isAtInput ? tap : windows.taps - 1 - tap) * thin + channel) * wide
      let target = dW + tap * inputs * outputs + (isAtInput ? channel * outputs : channel)
      let step = isAtInput ? 1 : outputs
      for other in 0..<wide { target[other * step] = (accumulating ? target[other * step] : 0) + source[other] }
    }
  }
}

/// Windows over thin images, one for every pixel of wide ones.
private struct ThinWindows {
  let window: kernels_window
  let batch: Int

  /// Over the input, seen from the output.
  init(forwardOf shape: ConvolutionShape) {
    window = kernels_window(forwardOf: shape)
    batch = shape.batch
  }

  /// Over the output, seen from the input; taps in the opposite order.
  init(backwardOf shape: ConvolutionShape) { self.init(forwardOf: shape.mirrored) }

  var taps: Int { window.kernel_height * window.kernel_width }
  /// Floats of a window.
  private var size: Int { taps * window.channels }
  /// Pixels of a wide image.
  private var pixels: Int { window.output_height * window.output_width }

  /// The weights from `wide` channels to a window, filled up to whole vectors.
  func weights(_ wide: Int, _ weight: (_ tap: Int, _ thin: Int, _ wide: Int) -> Float) -> PackedMatrix {
    let columns = paddedToLanes(size)
    let matrix = Storage(count: wide * columns)
    fill(matrix.pointer, count: matrix.count, with: 0)
    for row in 0..<wide {
      for column in 0..<size {
        matrix.pointer[row * columns + column] = weight(column / window.channels, column % window.channels, row)
      }
    }
    return PackedMatrix(MatrixView(matrix.pointer, rows: wide, columns: columns))
  }

  /// `thin (+)= bias + Σ wide·weights`, what each pixel of the wide images gives to its window.
  func spread(
    _ wide: UnsafeMutablePointer<Float>, _ weights: PackedMatrix, into thin: UnsafeMutablePointer<Float>,
    bias: UnsafePointer<Float>?, accumulating: Bool
  ) {
    let (rowSize, run) = (window.width * window.channels, window.kernel_width * window.channels)
    // Threads share rows of the thin image. Pixels whose windows reach two jobs' rows are multiplied twice.
    let rowsPerJob = 32
    let jobs = (window.height + rowsPerJob - 1) / rowsPerJob
    parallelFor(batch * jobs) { job in
      let (image, part) = job.quotientAndRemainder(dividingBy: jobs)
      let rows = part * rowsPerJob..<min(window.height, (part + 1) * rowsPerJob)
      let target = thin + image * window.height * rowSize
      if !accumulating { kernels_fill(rows.count * rowSize, 0, target + rows.lowerBound * rowSize) }
      if let bias {
        kernels_add_rows(rows.count * window.width, window.channels, bias, target + rows.lowerBound * rowSize)
      }
      let products = Storage(count: window.output_width * weights.columns)
      for wideRow in 0..<window.output_height {
        let top = wideRow * window.stride - window.top
        guard rows.overlaps(top..<top + window.kernel_height) else { continue }
        let first = (image * window.output_height + wideRow) * window.output_width
        weights.multiplyOnThisThread(
          MatrixView(wide + first * weights.depth, rows: window.output_width, columns: weights.depth),
          into: MatrixView(products.pointer, rows: window.output_width, columns: weights.columns))
        for tapRow in 0..<window.kernel_height where rows.contains(top + tapRow) {
          kernels_add_runs(
            window.output_width, run, products.pointer + tapRow * run, weights.columns,
            -window.left * window.channels, window.stride * window.channels, rowSize,
            target + (top + tapRow) * rowSize)
        }
      }
    }
  }

  /// The sums over all pixels of what their windows hold times `channels` wide channels: shape `[taps·thin, channels]`.
  func products(_ thin: UnsafePointer<Float>, _ wide: UnsafePointer<Float>, _ channels: Int) -> Storage {
    let (count, pixelsPerBlock) = (batch * pixels, 512)
    // Parts of a number that does not depend on threads, so that neither does the sum.
    let blocks = (count + pixelsPerBlock - 1) / pixelsPerBlock
    let blocksPerPart = (blocks + 15) / 16
    let parts = (blocks + blocksPerPart - 1) / blocksPerPart
    let sums = Storage(count: parts * size * channels)
    parallelFor(parts) { part in
      let columns = Storage(count: pixelsPerBlock * size)
      let sum = sums.pointer + part * size * channels
      for block in part * blocksPerPart..<min(blocks, (part + 1) * blocksPerPart) {
        let first = block * pixelsPerBlock
        let some = min(pixelsPerBlock, count - first)
        withUnsafePointer(to: window) { kernels_im2col($0, first, some, thin, columns.pointer) }
        kernels_plane_product(
          size, some, channels, columns.pointer, 1, size, wide + first * channels, channels, sum, channels,
          block > part * blocksPerPart ? 1 : 0)
      }
    }
    let sumSize = size * channels
    for part in 1..<max(1, parts) { add(sums.pointer + part * sumSize, to: sums.pointer, count: sumSize) }
    return sums
  }
}

extension ConvolutionShape {
  /// The convolution, of stride 1, that takes gradients of the output to those of the input.
  fileprivate var mirrored: ConvolutionShape {
    ConvolutionShape(
      batch: batch, height: outputHeight, width: outputWidth, inputChannels: outputChannels,
      outputChannels: inputChannels, kernelHeight: kernelHeight, kernelWidth: kernelWidth,
      verticalPadding: kernelHeight - 1 - verticalPadding, horizontalPadding: kernelWidth - 1 - horizontalPadding)
  }
}
