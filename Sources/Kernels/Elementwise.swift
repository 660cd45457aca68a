import CKernels

// Threaded forms of the flat loops in CKernels. Chunks fit in L2 with their operands; `rows` loops split by rows.

private let chunkSize = 1 << 16

private func rowsPerChunk(_ columns: Int) -> Int { max(1, chunkSize / max(columns, 1)) }

/// `y[i] = value`.
public func fill(_ y: UnsafeMutablePointer<Float>, count: Int, with value: Float) {
  parallelChunks(count, of: chunkSize) { kernels_fill($0.count, value, y + $0.lowerBound) }
}

/// `y[i] = x[i]`.
public func copy(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int) {
  parallelChunks(count, of: chunkSize) { (y + $0.lowerBound).update(from: x + $0.lowerBound, count: $0.count) }
}

/// `y[i] += x[i]`.
public func add(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int) {
  parallelChunks(count, of: chunkSize) { kernels_add($0.count, x + $0.lowerBound, y + $0.lowerBound) }
}

/// `y[i] = a[i] + b[i]`.
public func sum(
  _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
) {
  parallelChunks(count, of: chunkSize) {
    kernels_sum($0.count, a + $0.lowerBound, b + $0.lowerBound, y + $0.lowerBound)
  }
}

/// `y[i] (+)= factor·x[i]`.
public func scale(
  _ x: UnsafePointer<Float>, by factor: Float, into y: UnsafeMutablePointer<Float>, count: Int,
  accumulating: Bool = false
) {
  parallelChunks(count, of: chunkSize) {
    kernels_scale($0.count, factor, x + $0.lowerBound, y + $0.lowerBound, accumulating ? 1 : 0)
  }
}

/// `y[i] (+)= a[i]·b[i]`.
public func multiply(
  _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int,
  accumulating: Bool = false
) {
  parallelChunks(count, of: chunkSize) {
    kernels_multiply($0.count, a + $0.lowerBound, b + $0.lowerBound, y + $0.lowerBound, accumulating ? 1 : 0)
  }
}

/// A pointwise nonlinearity.
public enum Activation: Sendable, Equatable {
  /// `x·Φ(x)` with the exact error function.
  case gelu
  /// `x·σ(x)`.
  case silu
  /// `x > 0 ? x : slope·x`; slope 0 is ReLU.
  case leakyReLU(slope: Float)

  /// `y[i] = f(x[i])`.
  public func apply(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    parallelChunks(count, of: chunkSize) { range in
      let (x, y) = (x + range.lowerBound, y + range.lowerBound)
      switch self {
      case .gelu: kernels_gelu(range.count, x, y)
      case .silu: kernels_silu(range.count, x, y)
      case .leakyReLU(let slope): kernels_leaky_relu(range.count, slope, x, y)
      }
    }
  }

  /// `dX[i] (+)= dY[i]·f′(x[i])`.
  public func applyGradient(
    _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, into dX: UnsafeMutablePointer<Float>, count: Int,
    accumulating: Bool
  ) {
    let accumulate: Int32 = accumulating ? 1 : 0
    parallelChunks(count, of: chunkSize) { range in
      let (x, dY, dX) = (x + range.lowerBound, dY + range.lowerBound, dX + range.lowerBound)
      switch self {
      case .gelu: kernels_gelu_gradient(range.count, x, dY, dX, accumulate)
      case .silu: kernels_silu_gradient(range.count, x, dY, dX, accumulate)
      case .leakyReLU(let slope): kernels_leaky_relu_gradient(range.count, slope, x, dY, dX, accumulate)
      }
    }
  }
}

/// `y[r, c] += bias[c]`.
public func addRows(_ bias: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
  parallelChunks(rows, of: rowsPerChunk(columns)) {
    kernels_add_rows($0.count, columns, bias, y + $0.lowerBound * columns)
  }
}

/// `sums[c] (+)= Σ_r x[r, c]`, or `Σ_r x[r, c]·other[r, c]`, in a fixed order whatever the thread count.
public func columnSums(
  _ x: UnsafePointer<Float>, times other: UnsafePointer<Float>? = nil, into sums: UnsafeMutablePointer<Float>,
  rows: Int, columns: Int, scale: Float = 1, accumulating: Bool
) {
  let chunk = rowsPerChunk(columns)
  let chunks = max(1, (rows + chunk - 1) / chunk)
  let partial = Storage(count: chunks * columns)
  parallelFor(chunks) { index in
    let range = index * chunk..<min(rows, (index + 1) * chunk)
    let out = partial.pointer + index * columns
    kernels_fill(columns, 0, out)
    let start = range.lowerBound * columns
    if let other {
      kernels_column_dots(range.count, columns, x + start, other + start, out)
    } else {
      kernels_column_sums(range.count, columns, x + start, out)
    }
  }
  for index in 1..<max(chunks, 1) { kernels_add(columns, partial.pointer + index * columns, partial.pointer) }
  kernels_scale(columns, scale, partial.pointer, sums, accumulating ? 1 : 0)
}

/// `y[r, c] = x[r, c] + factor·gamma[c]·f[r, c]`: a residual branch with layer scale and stochastic depth's factor.
public func scaledResidual(
  _ x: UnsafePointer<Float>, _ f: UnsafePointer<Float>, gamma: UnsafePointer<Float>, factor: Float,
  into y: UnsafeMutablePointer<Float>, rows: Int, columns: Int
) {
  parallelChunks(rows, of: rowsPerChunk(columns)) {
    let start = $0.lowerBound * columns
    kernels_scaled_residual($0.count, columns, factor, gamma, x + start, f + start, y + start)
  }
}

/// `y[r, c] (+)= factor·gamma[c]·x[r, c]`.
public func scaleColumns(
  _ x: UnsafePointer<Float>, by gamma: UnsafePointer<Float>, factor: Float, into y: UnsafeMutablePointer<Float>,
  rows: Int, columns: Int, accumulating: Bool
) {
  parallelChunks(rows, of: rowsPerChunk(columns)) {
    let start = $0.lowerBound * columns
    kernels_scale_columns($0.count, columns, factor, gamma, x + start, y + start, accumulating ? 1 : 0)
  }
}

/// `Σ x[i]` in float64.
public func total(_ x: UnsafePointer<Float>, count: Int) -> Double {
  parallelSum(count) { kernels_total($0.count, x + $0.lowerBound) }
}

/// `Σ a[i]·b[i]` in float64.
public func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Double {
  parallelSum(count) { kernels_dot($0.count, a + $0.lowerBound, b + $0.lowerBound) }
}

/// `Σ |a[i] − b[i]|` in float64.
public func absoluteDifference(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Double {
  parallelSum(count) { kernels_absolute_difference($0.count, a + $0.lowerBound, b + $0.lowerBound) }
}

/// `dX[i] (+)= factor·sign(a[i] − b[i])`.
public func absoluteDifferenceGradient(
  _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, factor: Float, into dX: UnsafeMutablePointer<Float>,
  count: Int, accumulating: Bool
) {
  parallelChunks(count, of: chunkSize) {
    let start = $0.lowerBound
    kernels_absolute_difference_gradient(
      $0.count, factor, a + start, b + start, dX + start, accumulating ? 1 : 0)
  }
}

/// `dot` without threads, for callers that run inside a parallel loop.
public func dotOnThisThread(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Double {
  kernels_dot(count, a, b)
}

/// `scale` without threads, for callers that run inside a parallel loop.
public func scaleOnThisThread(
  _ x: UnsafePointer<Float>, by factor: Float, into y: UnsafeMutablePointer<Float>, count: Int,
  accumulating: Bool = false
) {
  kernels_scale(count, factor, x, y, accumulating ? 1 : 0)
}
