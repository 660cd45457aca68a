import CKernels

// Layer norm and RMS norm: every row is normalised over its columns. Gradients of the weights are summed per chunk of
// rows and then chunk by chunk, so they do not depend on the number of threads.

private func rowsPerChunk(_ columns: Int) -> Int { max(1, (1 << 15) / max(columns, 1)) }

/// Layer normalisation: `y = x̂·weight + bias`; keeps each row's mean and reciprocal standard deviation.
public func layerNorm(
  _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>, epsilon: Float,
  into y: UnsafeMutablePointer<Float>, means: UnsafeMutablePointer<Float>, rstds: UnsafeMutablePointer<Float>,
  rows: Int, columns: Int
) {
  parallelChunks(rows, of: rowsPerChunk(columns)) { range in
    let start = range.lowerBound * columns
    kernels_layer_norm(
      range.count, columns, epsilon, x + start, weight, bias, y + start, means + range.lowerBound,
      rstds + range.lowerBound)
  }
}

/// RMS normalisation: `y = x·rstd·weight`; keeps each row's reciprocal root mean square.
public func rmsNorm(
  _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, into y: UnsafeMutablePointer<Float>,
  rstds: UnsafeMutablePointer<Float>, rows: Int, columns: Int
) {
  parallelChunks(rows, of: rowsPerChunk(columns)) { range in
    let start = range.lowerBound * columns
    kernels_rms_norm(range.count, columns, epsilon, x + start, weight, y + start, rstds + range.lowerBound)
  }
}

/// The gradient of `layerNorm`, or of `rmsNorm` where `means` is nil. Adds to `dX` if `accumulating`, else overwrites
/// it; `dParameters` receives `columns` weight gradients and then, for layer norm, `columns` bias gradients.
public func rowNormGradient(
  _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, weight: UnsafePointer<Float>, means: UnsafePointer<Float>?,
  rstds: UnsafePointer<Float>, into dX: UnsafeMutablePointer<Float>?, accumulating: Bool,
  dParameters: UnsafeMutablePointer<Float>, rows: Int, columns: Int
) {
  let chunk = rowsPerChunk(columns)
  let chunks = max(1, (rows + chunk - 1) / chunk)
  let width = means == nil ? columns : 2 * columns
  let partial = Storage(count: chunks * width)
  parallelFor(chunks) { index in
    let range = index * chunk..<min(rows, (index + 1) * chunk)
    let start = range.lowerBound * columns
    let out = partial.pointer + index * width
    kernels_fill(width, 0, out)
    let target = dX.map { $0 + start }
    if let means {
      kernels_layer_norm_gradient(
        range.count, columns, x + start, dY + start, weight, means + range.lowerBound, rstds + range.lowerBound,
        target, accumulating ? 1 : 0, out, out + columns)
    } else {
      kernels_rms_norm_gradient(
        range.count, columns, x + start, dY + start, weight, rstds + range.lowerBound, target, accumulating ? 1 : 0,
        out)
    }
  }
  for index in 0..<width {
    var total = 0.0
    for part in 0..<chunks { total += Double(partial.pointer[part * width + index]) }
    dParameters[index] = Float(total)
  }
}
