import CKernels

/// Turns the adjacent pairs of the first `rotatedHeads` heads of every row by the angles of its table row; what follows
/// in the row is copied.
/// - Parameters:
///   - x: `rows × columns`.
///   - y: `rows × columns`.
///   - rows: Rows of x and y.
///   - columns: Floats per row of x and y.
///   - rotatedHeads: Heads that are turned, from the first on.
///   - headSize: Floats of a head, even.
///   - table: Rows of `headSize/2` pairs (cosine, sine).
///   - tableRows: One row of the table per row of x, repeated where there are fewer.
///   - transposed: Turn the other way: the gradient.
public func rotatePairs(
  _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, rows: Int, columns: Int, rotatedHeads: Int,
  headSize: Int, table: UnsafePointer<Float>, tableRows: [Int32], transposed: Bool
) {
  let rotated = rotatedHeads * headSize
  parallelChunks(rows, of: max(1, (1 << 15) / max(columns, 1))) { range in
    for row in range {
      let angles = table + Int(tableRows[row % tableRows.count]) * headSize
      let (source, target) = (x + row * columns, y + row * columns)
      kernels_rotate_pairs(rotatedHeads, headSize, angles, transposed ? 1 : 0, source, target)
      (target + rotated).update(from: source + rotated, count: columns - rotated)
    }
  }
}
