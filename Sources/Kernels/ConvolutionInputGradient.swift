import CKernels

/// `dX (+)= Σ dY·weightᵀ`, tap by tap: the pixels of an output row give to pixels of an input row `stride` apart, so
/// nothing is gathered or scattered, and threads share no output.
func inputGradientByTaps(
  _ dY: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool
) {
  let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
  if shape.isPointwise {
    let pixels = shape.batch * shape.height * shape.width
    return gemm(
      MatrixView(dY, rows: pixels, columns: outputs),
      MatrixView(weight, rows: inputs, columns: outputs).transposed,
      into: MatrixView(dX, rows: pixels, columns: inputs), accumulating: accumulating)
  }
  let taps = shape.kernelHeight * shape.kernelWidth
  let transposed = Storage(count: taps * outputs * inputs)
  parallelFor(taps) { tap in
    let offset = tap * inputs * outputs
    kernels_transpose(inputs, outputs, weight + offset, outputs, transposed.pointer + offset, inputs)
  }
  let weights = PackedMatrix(MatrixView(transposed.pointer, rows: taps * outputs, columns: inputs))
  let (stride, left) = (shape.stride, shape.horizontalPadding)
  parallelFor(shape.batch * shape.height) { line in
    let out = dX + line * shape.width * inputs
    if !accumulating { kernels_fill(shape.width * inputs, 0, out) }
    let (image, row) = line.quotientAndRemainder(dividingBy: shape.height)
    for tapRow in 0..<shape.kernelHeight {
      let (outputRow, between) = (row + shape.verticalPadding - tapRow).quotientAndRemainder(dividingBy: stride)
      guard between == 0, (0..<shape.outputHeight).contains(outputRow) else { continue }
      let source = dY + (image * shape.outputHeight + outputRow) * shape.outputWidth * outputs
      for tapColumn in 0..<shape.kernelWidth {
        // The output columns whose windows have this tap inside the image.
        let first = max(0, (left - tapColumn + stride - 1) / stride)
        let room = shape.width - 1 + left - tapColumn
        let last = min(shape.outputWidth - 1, room / stride)
        guard room >= 0, first <= last else { continue }
        let tap = tapRow * shape.kernelWidth + tapColumn
        weights.multiplyOnThisThread(
          MatrixView(source + first * outputs, rows: last - first + 1, columns: outputs),
          byRows: tap * outputs..<(tap + 1) * outputs,
          addingTo: MatrixView(
            out + (first * stride + tapColumn - left) * inputs, rows: last - first + 1, columns: inputs,
            rowStride: stride * inputs))
      }
    }
  }
}
