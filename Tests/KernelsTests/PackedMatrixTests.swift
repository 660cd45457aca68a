import Foundation
import Kernels
import Testing

/// Products through strips, compared with sums in float64.
struct PackedMatrixTests {
  /// Values whose products and sums round: sines of irrational steps.
  private func values(_ count: Int, step: Double) -> [Float] {
    (0..<count).map { Float(sin(Double($0 + 1) * step)) }
  }

  /// Depths around the parts in which sums are taken, columns around strips and vectors, rows around blocks.
  @Test(
    arguments: [
      (1, 1, 1), (5, 3, 7), (6, 128, 32), (7, 129, 33), (49, 255, 64), (48, 256, 31), (13, 257, 66), (193, 300, 130),
      (12, 513, 9), (16, 392, 80), (7, 771, 48),
    ], [false, true])
  func aProductIsThatOfFloat64(_ size: (rows: Int, depth: Int, columns: Int), isTransposed: Bool) {
    let (rows, depth, columns) = size
    var (a, b) = (values(rows * depth, step: 1.7), values(depth * columns, step: 0.9))
    // A wider result: what lies beside its columns must stay.
    let stride = columns + 3
    var c = [Float](repeating: 77, count: rows * stride)
    a.withUnsafeMutableBufferPointer { a in
      b.withUnsafeMutableBufferPointer { b in
        c.withUnsafeMutableBufferPointer { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          let matrix =
            isTransposed
            ? MatrixView(b, rows: columns, columns: depth).transposed : MatrixView(b, rows: depth, columns: columns)
          PackedMatrix(matrix).multiply(
            MatrixView(a, rows: rows, columns: depth),
            into: MatrixView(c, rows: rows, columns: columns, rowStride: stride)
          )
        }
      }
    }
    for row in 0..<rows {
      for column in 0..<columns {
        var (sum, magnitude) = (0.0, 0.0)
        for k in 0..<depth {
          let term = Double(a[row * depth + k]) * Double(isTransposed ? b[column * depth + k] : b[k * columns + column])
          sum += term
          magnitude += abs(term)
        }
        let error = abs(Double(c[row * stride + column]) - sum)
        #expect(error <= 4e-6 * magnitude, "row \(row), column \(column): \(error)")
      }
      #expect(
        c[row * stride + columns..<(row + 1) * stride].allSatisfy { $0 == 77 }, "row \(row) was written past its end")
    }
  }

  @Test func nothingSummedIsZero() {
    var c: [Float] = [1, 2, 3]
    c.withUnsafeMutableBufferPointer { c in
      guard let c = c.baseAddress else { return }
      PackedMatrix(MatrixView(c, rows: 0, columns: 3)).multiply(
        MatrixView(c, rows: 1, columns: 0), into: MatrixView(c, rows: 1, columns: 3))
    }
    #expect(c == [0, 0, 0])
  }
}
