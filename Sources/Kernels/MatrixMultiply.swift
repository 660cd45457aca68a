import COpenBLAS

/// A row-major matrix in memory, or the transpose of one, as a gemm operand.
public struct MatrixView {
  /// The first element.
  public let pointer: UnsafeMutablePointer<Float>
  /// Rows and columns as the product sees them, after transposition.
  public let rows: Int, columns: Int
  /// Floats between the starts of consecutive stored rows.
  public let rowStride: Int
  /// Whether the stored matrix is the transpose of the one meant.
  public let isTransposed: Bool

  /// A view of `rows × columns` stored row-major at `pointer`, `rowStride` floats apart (default: `columns`).
  public init(_ pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int, rowStride: Int? = nil) {
    self.init(
      pointer: pointer, rows: rows, columns: columns, rowStride: rowStride ?? columns, isTransposed: false)
  }

  private init(pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int, rowStride: Int, isTransposed: Bool) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
    self.isTransposed = isTransposed
  }

  /// The transpose, without moving anything.
  public var transposed: MatrixView {
    MatrixView(pointer: pointer, rows: columns, columns: rows, rowStride: rowStride, isTransposed: !isTransposed)
  }

  func sliced(rows range: Range<Int>) -> MatrixView {
    MatrixView(
      pointer: pointer + range.lowerBound * (isTransposed ? 1 : rowStride), rows: range.count, columns: columns,
      rowStride: rowStride, isTransposed: isTransposed)
  }

  func sliced(columns range: Range<Int>) -> MatrixView { transposed.sliced(rows: range).transposed }
}

/// `c = scale·a·b`, or `c += scale·a·b` when `accumulating`, split over this rank's threads.
/// - Precondition: The shapes agree and `c` is not transposed.
public func gemm(
  _ a: MatrixView, _ b: MatrixView, into c: MatrixView, scale: Float = 1, accumulating: Bool = false
) {
  // Splitting the longer side of the result leaves each thread a product of its own; thin products stay whole.
  let parts = c.rows * c.columns * a.columns < 1 << 18 ? 1 : Threads.count
  if parts == 1 { return gemmOnThisThread(a, b, into: c, scale: scale, accumulating: accumulating) }
  let byRows = c.rows >= c.columns
  let extent = byRows ? c.rows : c.columns
  let chunk = ((extent + parts - 1) / parts + 15) / 16 * 16
  parallelChunks(extent, of: chunk) { range in
    if byRows {
      gemmOnThisThread(
        a.sliced(rows: range), b, into: c.sliced(rows: range), scale: scale, accumulating: accumulating)
    } else {
      gemmOnThisThread(
        a, b.sliced(columns: range), into: c.sliced(columns: range), scale: scale, accumulating: accumulating)
    }
  }
}

/// `gemm` without threads, for callers that run inside a parallel loop.
public func gemmOnThisThread(
  _ a: MatrixView, _ b: MatrixView, into c: MatrixView, scale: Float = 1, accumulating: Bool = false
) {
  guard a.rows == c.rows, b.columns == c.columns, a.columns == b.rows, !c.isTransposed else {
    fatalError("gemm: \(a.rows)×\(a.columns) by \(b.rows)×\(b.columns) into \(c.rows)×\(c.columns)")
  }
  guard c.rows > 0, c.columns > 0 else { return }
  _ = BLASRuntime.setup
  cblas_sgemm(
    CblasRowMajor, a.isTransposed ? CblasTrans : CblasNoTrans, b.isTransposed ? CblasTrans : CblasNoTrans,
    blasint(c.rows), blasint(c.columns), blasint(a.columns), scale,
    a.pointer, blasint(max(a.rowStride, 1)), b.pointer, blasint(max(b.rowStride, 1)),
    accumulating ? 1 : 0, c.pointer, blasint(max(c.rowStride, 1)))
}
