import Kernels

/// Rotary position embedding: turns the adjacent pairs (2i, 2i + 1) of heads by the angles of a table row (Su et al.,
/// 2021).
/// - Parameters:
///   - x: Shape `[..., C]`. Of its channels, `rotatedHeads` heads from the first on are turned and the rest is copied:
///     of `[q, k, v]` the heads of q and k.
///   - rotatedHeads: Heads of `dh` channels that are turned, from the first on.
///   - table: Shape `[R, dh/2, 2]`: cosine and sine. A row of zeros makes what it turns vanish.
///   - rows: A row of the table for each row of `x`, or for each row of every sample alike.
/// - Returns: The shape of `x`.
public func rotary(_ x: Tensor, rotatedHeads: Int, table: Tensor, rows: [Int32]) -> Tensor {
  let headSize = 2 * table.shape[1]
  require(
    table.dimensionCount == 3 && table.shape[2] == 2 && rotatedHeads * headSize <= x.channels && !rows.isEmpty
      && x.rows % rows.count == 0 && rows.allSatisfy { $0 >= 0 && $0 < table.shape[0] },
    "rotary: \(rotatedHeads) heads of \(x.shape) by \(rows.count) rows of a table \(table.shape)")
  func turned(_ x: Tensor, transposed: Bool) -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    rotatePairs(
      x.pointer, into: y.pointer, rows: x.rows, columns: x.channels, rotatedHeads: rotatedHeads, headSize: headSize,
      table: table.pointer, tableRows: rows, transposed: transposed)
    return y
  }
  let xNode = x.node
  return turned(x, transposed: false).recording(from: [x]) { dY in
    xNode?.accumulate(adding: turned(dY, transposed: true))
  }
}
