import Kernels

/// Rows of a table: `y[n] = table[indices[n]]`.
/// - Parameters:
///   - table: Shape `[V, C]`.
///   - indices: Rows in `0..<V`.
///   - shape: The leading axes of the result, whose product is the number of indices; `[N]` by default.
/// - Returns: Shape `shape + [C]`. The gradient is a scatter-add in the order of `indices`.
public func embedding(_ table: Tensor, _ indices: [Int32], shape: [Int]? = nil) -> Tensor {
  let shape = shape ?? [indices.count]
  require(
    table.dimensionCount == 2 && shape.reduce(1, *) == indices.count
      && indices.allSatisfy { $0 >= 0 && $0 < table.shape[0] },
    "embedding: \(indices.count) indices into \(table.shape) for shape \(shape), or an index outside the table")
  let channels = table.shape[1]
  let y = Tensor(uninitialized: shape + [channels])
  parallelChunks(indices.count, of: 256) { range in
    for row in range {
      (y.pointer + row * channels).update(from: table.pointer + Int(indices[row]) * channels, count: channels)
    }
  }
  let tableNode = table.node
  return y.recording(from: [table]) { dY in
    tableNode?.accumulate { dTable, accumulating in
      if !accumulating { fill(dTable.pointer, count: dTable.count, with: 0) }
      // Threads share the columns, not the rows: equal indices meet on one thread, in order.
      parallelChunks(channels, of: 128) { columns in
        for (row, index) in indices.enumerated() {
          let start = columns.lowerBound
          add(
            dY.pointer + row * channels + start, to: dTable.pointer + Int(index) * channels + start,
            count: columns.count)
        }
      }
    }
  }
}
