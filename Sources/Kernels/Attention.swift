import CKernels

/// The sizes of one multi-head attention: `y = softmax(q·kᵀ/√size + log sizes)·v` per sample and head.
public struct AttentionShape: Sendable {
  /// Samples, heads per sample, channels per head.
  public let samples: Int, heads: Int, headSize: Int
  /// Rows of q, and of k and v, per sample.
  public let queries: Int, keys: Int

  /// Describes an attention.
  public init(samples: Int, heads: Int, headSize: Int, queries: Int, keys: Int) {
    self.samples = samples
    self.heads = heads
    self.headSize = headSize
    self.queries = queries
    self.keys = keys
  }

  fileprivate var scale: Float { 1 / Float(headSize).squareRoot() }

  /// A few queries or keys are faster without matrix products: the length-2 sequences of a factorised head, and one
  /// query against a cache.
  fileprivate var isDirect: Bool { queries <= 2 || keys <= 8 }

  /// Query rows per block, evenly spread: the score blocks stay in L2, and products keep enough rows to pay for
  /// their packing.
  fileprivate var rowsPerBlock: Int {
    let most = min(192, max(48, (1 << 16) / max(keys, 1)))
    let blocks = (queries + most - 1) / most
    return (queries + blocks - 1) / max(blocks, 1)
  }
}

/// The rows of q, k, v or y: head `h` of row `r` of sample `b` starts at `b·sampleStride + r·rowStride + h·headSize`.
public struct HeadRows {
  /// The first value of the first head.
  public let pointer: UnsafeMutablePointer<Float>
  /// Floats between consecutive rows, and between consecutive samples.
  public let rowStride: Int, sampleStride: Int

  /// `rows` rows of `rowStride` floats per sample.
  public init(_ pointer: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int) {
    self.pointer = pointer
    self.rowStride = rowStride
    sampleStride = rowStride * rows
  }

  fileprivate func head(_ head: Int, of sample: Int, row: Int = 0, in shape: AttentionShape)
    -> UnsafeMutablePointer<Float>
  {
    pointer + sample * sampleStride + row * rowStride + head * shape.headSize
  }

  fileprivate func matrix(_ head: Int, of sample: Int, rows: Range<Int>, in shape: AttentionShape) -> MatrixView {
    MatrixView(
      self.head(head, of: sample, row: rows.lowerBound, in: shape), rows: rows.count, columns: shape.headSize,
      rowStride: rowStride)
  }
}

/// An attention's operands, forward and backward. No buffer of queries × keys is kept: the forward pass leaves each
/// row's log-sum-exp, from which the backward pass recomputes the probabilities block by block.
public struct Attention {
  private let shape: AttentionShape
  private let (query, key, value): (HeadRows, HeadRows, HeadRows)
  private let logSizes: UnsafePointer<Float>?
  private let mask: LaidOutMask

  /// - Parameters:
  ///   - shape: Samples, heads and lengths.
  ///   - query: `samples × queries` rows.
  ///   - key: `samples × keys` rows.
  ///   - value: `samples × keys` rows.
  ///   - logSizes: `samples × keys` values added to the logits, or nil.
  ///   - mask: Which keys each query sees. Rows that see nothing give zeros.
  public init(
    _ shape: AttentionShape, query: HeadRows, key: HeadRows, value: HeadRows, logSizes: UnsafePointer<Float>?,
    mask: AttentionMask
  ) {
    self.shape = shape
    (self.query, self.key, self.value) = (query, key, value)
    self.logSizes = logSizes
    self.mask = LaidOutMask(mask, samples: shape.samples, queries: shape.queries, keys: shape.keys)
  }

  /// Writes the result into `y` and `samples × heads × queries` log-sum-exps.
  public func apply(into y: HeadRows, logSumExp: UnsafeMutablePointer<Float>) {
    if shape.isDirect { return applyDirect(into: y, logSumExp: logSumExp) }
    let rowsPerBlock = shape.rowsPerBlock
    let blocks = (shape.queries + rowsPerBlock - 1) / rowsPerBlock
    parallelFor(shape.samples * shape.heads * blocks) { task in
      let (sample, head, block) = (task / blocks / shape.heads, task / blocks % shape.heads, task % blocks)
      let rows = block * rowsPerBlock..<min(shape.queries, (block + 1) * rowsPerBlock)
      withView(of: sample, row: rows.lowerBound) { view in
        let keys = 0..<keyCount(view, rows: rows.count)
        withScratch(rows.count * keys.count) { scratch in
          let scores = MatrixView(scratch, rows: rows.count, columns: keys.count)
          gemmOnThisThread(
            query.matrix(head, of: sample, rows: rows, in: shape),
            key.matrix(head, of: sample, rows: keys, in: shape).transposed, into: scores, scale: shape.scale)
          kernels_attention_softmax(
            rows.count, keys.count, scratch, view,
            logSumExp + (sample * shape.heads + head) * shape.queries + rows.lowerBound)
          gemmOnThisThread(
            scores, value.matrix(head, of: sample, rows: keys, in: shape),
            into: y.matrix(head, of: sample, rows: rows, in: shape))
        }
      }
    }
  }

  /// Adds the gradients with respect to q, k and v to what `dQuery`, `dKey` and `dValue` hold.
  public func applyGradient(
    _ dY: HeadRows, y: HeadRows, logSumExp: UnsafePointer<Float>, into dQuery: HeadRows, dKey: HeadRows,
    dValue: HeadRows
  ) {
    if shape.isDirect {
      return applyDirectGradient(dY, y: y, logSumExp: logSumExp, into: dQuery, dKey: dKey, dValue: dValue)
    }
    let (rowsPerBlock, scale) = (shape.rowsPerBlock, shape.scale)
    parallelFor(shape.samples * shape.heads) { task in
      let (sample, head) = (task / shape.heads, task % shape.heads)
      withScratch(rowsPerBlock * (2 * shape.keys + 1)) { scratch in
        for start in stride(from: 0, to: shape.queries, by: rowsPerBlock) {
          let rows = start..<min(shape.queries, start + rowsPerBlock)
          withView(of: sample, row: start) { view in
            let keys = 0..<keyCount(view, rows: rows.count)
            let probabilities = MatrixView(scratch, rows: rows.count, columns: keys.count)
            let dScores = MatrixView(scratch + rowsPerBlock * shape.keys, rows: rows.count, columns: keys.count)
            let deltas = scratch + 2 * rowsPerBlock * shape.keys
            let q = query.matrix(head, of: sample, rows: rows, in: shape)
            let k = key.matrix(head, of: sample, rows: keys, in: shape)
            let dOut = dY.matrix(head, of: sample, rows: rows, in: shape)
            gemmOnThisThread(q, k.transposed, into: probabilities, scale: scale)
            gemmOnThisThread(
              dOut, value.matrix(head, of: sample, rows: keys, in: shape).transposed, into: dScores)
            kernels_attention_deltas(
              rows.count, shape.headSize, dOut.pointer, y.head(head, of: sample, row: start, in: shape), y.rowStride,
              deltas)
            kernels_attention_softmax_gradient(
              rows.count, keys.count, probabilities.pointer, dScores.pointer, view,
              logSumExp + task * shape.queries + start,
              deltas)
            gemmOnThisThread(
              dScores, k, into: dQuery.matrix(head, of: sample, rows: rows, in: shape), scale: scale,
              accumulating: true)
            gemmOnThisThread(
              dScores.transposed, q, into: dKey.matrix(head, of: sample, rows: keys, in: shape), scale: scale,
              accumulating: true)
            gemmOnThisThread(
              probabilities.transposed, dOut, into: dValue.matrix(head, of: sample, rows: keys, in: shape),
              accumulating: true)
          }
        }
      }
    }
  }

  /// Heads per task: a fork costs about as much as attending from two rows to two rows a dozen times.
  private var headsPerTask: Int { max(1, 256 / max(1, shape.queries * shape.keys)) }

  private func applyDirect(into y: HeadRows, logSumExp: UnsafeMutablePointer<Float>) {
    parallelChunks(shape.samples * shape.heads, of: headsPerTask) { range in
      withScratch(shape.keys) { scratch in
        for task in range {
          let (sample, head) = (task / shape.heads, task % shape.heads)
          withView(of: sample, row: 0) { view in
            kernels_attention_direct(
              shape.queries, shape.keys, shape.headSize, shape.scale, query.head(head, of: sample, in: shape),
              query.rowStride, key.head(head, of: sample, in: shape), key.rowStride,
              value.head(head, of: sample, in: shape), value.rowStride, view, y.head(head, of: sample, in: shape),
              y.rowStride, logSumExp + task * shape.queries, scratch)
          }
        }
      }
    }
  }

  private func applyDirectGradient(
    _ dY: HeadRows, y: HeadRows, logSumExp: UnsafePointer<Float>, into dQuery: HeadRows, dKey: HeadRows,
    dValue: HeadRows
  ) {
    parallelChunks(shape.samples * shape.heads, of: headsPerTask) { range in
      withScratch(2 * shape.keys) { scratch in
        for task in range {
          let (sample, head) = (task / shape.heads, task % shape.heads)
          func at(_ rows: HeadRows) -> UnsafeMutablePointer<Float> { rows.head(head, of: sample, in: shape) }
          withView(of: sample, row: 0) { view in
            kernels_attention_direct_gradient(
              shape.queries, shape.keys, shape.headSize, shape.scale, at(query), at(dQuery), query.rowStride, at(key),
              at(dKey), key.rowStride, at(value), at(dValue), value.rowStride, view, at(y), at(dY), y.rowStride,
              logSumExp + task * shape.queries, scratch)
          }
        }
      }
    }
  }

  /// The mask and sizes of `sample` from query `row` on.
  private func withView(of sample: Int, row: Int, _ body: (kernels_key_view) -> Void) {
    mask.ends.withUnsafeBufferPointer { ends in
      func call(_ visible: UnsafePointer<UInt8>?) {
        body(
          kernels_key_view(
            log_sizes: logSizes.map { $0 + sample * shape.keys },
            visible: visible.map { $0 + sample * mask.visibleSampleStride + row * shape.keys },
            visible_stride: shape.keys,
            ends: ends.baseAddress.map { $0 + sample * mask.endsSampleStride + row }))
      }
      if let visible = mask.visible {
        visible.withUnsafeBufferPointer { call($0.baseAddress) }
      } else {
        call(nil)
      }
    }
  }

  /// Keys that any of the first `rows` rows of the view sees; at least one, so that products have a size.
  private func keyCount(_ view: kernels_key_view, rows: Int) -> Int {
    Int((0..<rows).reduce(1) { max($0, view.ends[$1]) })
  }
}
