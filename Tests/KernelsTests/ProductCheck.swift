import Foundation
import Kernels
import Testing

/// Expects `c (+)= a·b` of what `multiply` computes, every value compared with its sum in float64.
/// - Parameter isTransposed: Whether it gets a or b as the transpose of what is stored.
func expectProduct(
  _ size: (rows: Int, depth: Int, columns: Int), isTransposed: (a: Bool, b: Bool), isAccumulating: Bool,
  _ multiply: (_ a: MatrixView, _ b: MatrixView, _ c: MatrixView) -> Void
) {
  let (rows, depth, columns) = size
  // Values whose products and sums round: sines of irrational steps.
  func values(_ count: Int, step: Double) -> [Float] { (0..<count).map { Float(sin(Double($0 + 1) * step)) } }
  func view(_ p: UnsafeMutablePointer<Float>, _ rows: Int, _ columns: Int, isTransposed: Bool) -> MatrixView {
    isTransposed ? MatrixView(p, rows: columns, columns: rows).transposed : MatrixView(p, rows: rows, columns: columns)
  }
  // A wider result: what lies beside its columns must stay.
  let stride = columns + 3
  let before = values(rows * stride, step: 2.3)
  var (a, b, c) = (values(rows * depth, step: 1.7), values(depth * columns, step: 0.9), before)
  a.withUnsafeMutableBufferPointer { a in
    b.withUnsafeMutableBufferPointer { b in
      c.withUnsafeMutableBufferPointer { c in
        guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
        multiply(
          view(a, rows, depth, isTransposed: isTransposed.a), view(b, depth, columns, isTransposed: isTransposed.b),
          MatrixView(c, rows: rows, columns: columns, rowStride: stride))
      }
    }
  }
  for row in 0..<rows {
    for column in 0..<columns {
      var sum = isAccumulating ? Double(before[row * stride + column]) : 0
      var magnitude = abs(sum)
      for k in 0..<depth {
        let term =
          Double(a[isTransposed.a ? k * rows + row : row * depth + k])
          * Double(b[isTransposed.b ? column * depth + k : k * columns + column])
        sum += term
        magnitude += abs(term)
      }
      let error = abs(Double(c[row * stride + column]) - sum)
      #expect(error <= 4e-6 * magnitude, "row \(row), column \(column): \(error)")
    }
    let beside = row * stride + columns..<(row + 1) * stride
    #expect(c[beside] == before[beside], "row \(row) was written past its end")
  }
}
