import Kernels
import Testing

/// Products through strips, compared with sums in float64.
struct PackedMatrixTests {
  /// Depths around the parts in which sums are taken, columns around strips and vectors, rows around blocks.
  @Test(
    arguments: [
      (1, 1, 1), (5, 3, 7), (6, 128, 32), (7, 129, 33), (49, 255, 64), (48, 256, 31), (13, 257, 66), (193, 300, 130),
      (12, 513, 9), (16, 392, 80), (7, 771, 48),
    ], [false, true])
  func aProductIsThatOfFloat64(_ size: (rows: Int, depth: Int, columns: Int), isTransposed: Bool) {
    for isAccumulating in [false, true] {
      expectProduct(size, isTransposed: (false, isTransposed), isAccumulating: isAccumulating) { x, matrix, y in
        PackedMatrix(matrix).multiply(x, into: y, accumulating: isAccumulating)
      }
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
