import Kernels
import Testing

struct MatrixMultiplyTests {
  /// Products that stay whole, and those that threads share by rows or by columns.
  @Test(
    arguments: [(3, 5, 7), (65, 30, 47), (197, 301, 61), (33, 130, 260)],
    [(false, false), (false, true), (true, false), (true, true)])
  func aProductIsThatOfFloat64(_ size: (rows: Int, depth: Int, columns: Int), isTransposed: (a: Bool, b: Bool)) {
    for isAccumulating in [false, true] {
      expectProduct(size, isTransposed: isTransposed, isAccumulating: isAccumulating) { a, b, c in
        gemm(a, b, into: c, accumulating: isAccumulating)
      }
    }
  }
}
