import Foundation
import Kernels
import Testing

/// Products of matrices and transposed ones, compared with sums in float64.
struct MatrixMultiplyTests {
  /// Small and narrow products, which OpenBLAS computes; large ones of odd sizes; and one so wide that its depth is cut.
  @Test(
    arguments: [(3, 5, 7), (65, 30, 47), (70, 2403, 51), (197, 301, 260), (64, 1027, 8200)],
    [(false, false), (false, true), (true, false), (true, true)])
  func aProductIsThatOfFloat64(
    _ size: (rows: Int, depth: Int, columns: Int), isTransposed: (a: Bool, b: Bool)
  ) {
    let (rows, depth, columns) = size
    func values(_ count: Int, step: Double) -> [Float] { (0..<count).map { Float(sin(Double($0 + 1) * step)) } }
    var (a, b) = (values(rows * depth, step: 1.7), values(depth * columns, step: 0.9))
    // A wider result: what lies beside its columns must stay.
    let stride = columns + 3
    let before = values(rows * stride, step: 2.3)
    for isAccumulating in [false, true] {
      var c = before
      a.withUnsafeMutableBufferPointer { a in
        b.withUnsafeMutableBufferPointer { b in
          c.withUnsafeMutableBufferPointer { c in
            guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
            func view(_ p: UnsafeMutablePointer<Float>, _ rows: Int, _ columns: Int, _ isTransposed: Bool) -> MatrixView
            {
              isTransposed
                ? MatrixView(p, rows: columns, columns: rows).transposed : MatrixView(p, rows: rows, columns: columns)
            }
            gemm(
              view(a, rows, depth, isTransposed.a), view(b, depth, columns, isTransposed.b),
              into: MatrixView(c, rows: rows, columns: columns, rowStride: stride), accumulating: isAccumulating)
          }
        }
      }
      for probe in 0..<min(2000, rows * columns) {
        // The corners, then all over.
        let row = probe < 4 ? probe % 2 * (rows - 1) : probe * 7919 % rows
        let column = probe < 4 ? probe / 2 * (columns - 1) : probe * 104_729 % columns
        var sum = isAccumulating ? Double(before[row * stride + column]) : 0
        for k in 0..<depth {
          sum +=
            Double(a[isTransposed.a ? k * rows + row : row * depth + k])
            * Double(b[isTransposed.b ? column * depth + k : k * columns + column])
        }
        let error = abs(Double(c[row * stride + column]) - sum)
        #expect(error <= 1e-6 * Double(depth), "row \(row), column \(column): \(error)")
      }
      for row in 0..<rows {
        let beside = row * stride + columns..<(row + 1) * stride
        #expect(c[beside] == before[beside], "row \(row) was written past its end")
      }
    }
  }
}
