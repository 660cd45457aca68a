import CKernels

/// The right-hand matrix of products `x·B`, laid out in strips of columns, each `[depth][strip]`.
///
/// Every value of a product is summed over the depth in an order that depends on the depth alone, so a row's result has
/// the same bits whatever other rows are in the batch, on whatever rank. A copy of the matrix: its memory once more while
/// it lives.
public struct PackedMatrix: Sendable {
  /// Rows and columns of the matrix.
  public let depth: Int, columns: Int
  private let strip: Int, stripCount: Int
  private let storage: Storage

  /// Packs a matrix; a weight `[out, in]` of a linear map is packed as its transpose.
  public init(_ matrix: MatrixView) {
    (depth, columns) = (matrix.rows, matrix.columns)
    strip = kernels_plane_product_strip()
    stripCount = (columns + strip - 1) / strip
    let (depth, columns, strip) = (depth, columns, strip)
    let storage = Storage(count: stripCount * strip * depth)
    parallelChunks(stripCount, of: max(1, (1 << 14) / max(1, depth * strip))) { strips in
      for index in strips {
        let target = storage.pointer + index * strip * depth
        let width = min(strip, columns - index * strip)
        if width < strip { kernels_fill(strip * depth, 0, target) }
        let first = index * strip
        if matrix.isTransposed {
          kernels_transpose(width, depth, matrix.pointer + first * matrix.rowStride, matrix.rowStride, target, strip)
        } else {
          for row in 0..<depth {
            (target + row * strip).update(from: matrix.pointer + row * matrix.rowStride + first, count: width)
          }
        }
      }
    }
    self.storage = storage
  }

  /// `y = x·B`, or `y += x·B` when `accumulating`, on this rank's threads.
  /// - Precondition: `x` is `rows × depth`, `y` is `rows × columns`, neither transposed.
  public func multiply(_ x: MatrixView, into y: MatrixView, accumulating: Bool = false) {
    guard x.rows >= rowsPerBlock else {
      // The matrix is read once, each thread its own strips.
      let ranges = guidedRanges(stripCount, threads: Threads.count)
      return parallelFor(ranges.count) { job in
        multiply(x, by: 0..<depth, into: y, strips: ranges[job], accumulating: accumulating)
      }
    }
    let rowsPerJob = 192
    let stripsPerJob = max(1, 256 / strip)
    let groups = (stripCount + stripsPerJob - 1) / stripsPerJob
    parallelFor(groups * ((x.rows + rowsPerJob - 1) / rowsPerJob)) { job in
      let rows = job / groups * rowsPerJob..<min(x.rows, (job / groups + 1) * rowsPerJob)
      let strips = job % groups * stripsPerJob..<min(stripCount, (job % groups + 1) * stripsPerJob)
      multiply(
        x.sliced(rows: rows), by: 0..<depth, into: y.sliced(rows: rows), strips: strips,
        accumulating: accumulating)
    }
  }

  /// `multiply` without threads, for callers that run inside a parallel loop.
  func multiplyOnThisThread(_ x: MatrixView, into y: MatrixView, accumulating: Bool = false) {
    multiply(x, by: 0..<depth, into: y, strips: 0..<stripCount, accumulating: accumulating)
  }

  /// `y += x·B[rows]`, B's other rows left out, without threads.
  func multiplyOnThisThread(_ x: MatrixView, byRows rows: Range<Int>, addingTo y: MatrixView) {
    multiply(x, by: rows, into: y, strips: 0..<stripCount, accumulating: true)
  }

  private func multiply(
    _ x: MatrixView, by depths: Range<Int>, into y: MatrixView, strips: Range<Int>, accumulating: Bool
  ) {
    guard x.columns == depths.count, y.columns == columns, x.rows == y.rows, !x.isTransposed, !y.isTransposed else {
      fatalError("PackedMatrix: \(x.rows)×\(x.columns) by \(depths.count)×\(columns) into \(y.rows)×\(y.columns)")
    }
    guard !depths.isEmpty else {
      if !accumulating { for row in 0..<y.rows { kernels_fill(y.columns, 0, y.pointer + row * y.rowStride) } }
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: rowsPerBlock * strip) { ragged in
      guard let ragged = ragged.baseAddress else { return }
      for row in stride(from: 0, to: x.rows, by: rowsPerBlock) {
        let rows = min(rowsPerBlock, x.rows - row)
        for index in strips {
          let column = index * strip
          let width = min(strip, columns - column)
          let target = y.pointer + row * y.rowStride + column
          // The last columns may not fill whole vectors: those are summed beside the result.
          let isWhole = width % kernels_winograd_lanes == 0
          kernels_plane_product(
            rows, depths.count, paddedToLanes(width), x.pointer + row * x.rowStride, x.rowStride, 1,
            storage.pointer + column * depth + depths.lowerBound * strip, strip, isWhole ? target : ragged,
            isWhole ? y.rowStride : strip, isWhole && accumulating ? 1 : 0)
          guard !isWhole else { continue }
          for r in 0..<rows {
            let (sums, end) = (ragged + r * strip, target + r * y.rowStride)
            for c in 0..<width { end[c] = accumulating ? end[c] + sums[c] : sums[c] }
          }
        }
      }
    }
  }
}

/// Rows of the left-hand matrix that stay in L2 while all strips pass.
private let rowsPerBlock = 48
