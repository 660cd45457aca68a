import COpenBLAS

// The few operations that statistics need in double precision. Matrices are row-major.

/// `c (+)= a·b`, or with `aᵀ` or `bᵀ`, on this thread.
/// - Parameters:
///   - a: `rows × inner`.
///   - transposingA: Whether `a` is stored as `inner × rows`.
///   - b: `inner × columns`.
///   - transposingB: Whether `b` is stored as `columns × inner`.
///   - c: `rows × columns`.
///   - rows: Of the result.
///   - inner: What is summed over.
///   - columns: Of the result.
///   - accumulating: Whether the product is added to `c`.
public func doubleProduct(
  _ a: UnsafePointer<Double>, transposingA: Bool = false, _ b: UnsafePointer<Double>, transposingB: Bool = false,
  into c: UnsafeMutablePointer<Double>, rows: Int, inner: Int, columns: Int, accumulating: Bool = false
) {
  guard rows > 0, columns > 0 else { return }
  _ = BLASRuntime.setup
  cblas_dgemm(
    CblasRowMajor, transposingA ? CblasTrans : CblasNoTrans, transposingB ? CblasTrans : CblasNoTrans, blasint(rows),
    blasint(columns), blasint(inner), 1, a, blasint(max(transposingA ? rows : inner, 1)), b,
    blasint(max(transposingB ? inner : columns, 1)), accumulating ? 1 : 0, c, blasint(columns))
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
public struct SymmetricEigensystem {
  /// Ascending.
  public let values: [Double]
  /// Row i belongs to value i; orthonormal. Empty where they were not asked for.
  public let vectors: [Double]

  /// Decomposes an `n × n` matrix, of which one triangle is read.
  /// - Complexity: O(n³).
  /// - Precondition: Every element is finite.
  public init(_ matrix: [Double], count n: Int, wantsVectors: Bool) {
    precondition(matrix.count == n * n, "SymmetricEigensystem: \(matrix.count) elements for \(n) × \(n)")
    guard n > 0 else {
      (values, vectors) = ([], [])
      return
    }
    _ = BLASRuntime.setup
    var a = matrix
    var eigenvalues = [Double](repeating: 0, count: n)
    let job: [CChar] = [CChar(wantsVectors ? UInt8(ascii: "V") : UInt8(ascii: "N"))]
    let triangle: [CChar] = [CChar(UInt8(ascii: "U"))]
    var size = blasint(n)
    var info: blasint = 0
    /// Asks for the size of the work space, then works.
    func call(_ work: inout [Double], _ workCount: blasint, _ integers: inout [blasint], _ integerCount: blasint) {
      var (workCount, integerCount) = (workCount, integerCount)
      dsyevd_(
        job, triangle, &size, &a, &size, &eigenvalues, &work, &workCount, &integers, &integerCount, &info, 1, 1)
    }
    var (work, integers) = ([0.0], [blasint(0)])
    call(&work, -1, &integers, -1)
    let (workCount, integerCount) = (Int(work[0]), Int(integers[0]))
    work = [Double](repeating: 0, count: workCount)
    integers = [blasint](repeating: 0, count: integerCount)
    call(&work, blasint(workCount), &integers, blasint(integerCount))
    // Divide and conquer converges for every finite matrix.
    guard info == 0 else { fatalError("SymmetricEigensystem: dsyevd says \(info) for \(n) × \(n)") }
    values = eigenvalues
    // LAPACK's columns are our rows.
    vectors = wantsVectors ? a : []
  }
}
