public import Kernels

/// Which keys each query may attend to, as the kernels know it.
public typealias AttentionMask = Kernels.AttentionMask
/// A table of visible keys per query, as the kernels know it.
public typealias KeyVisibility = Kernels.KeyVisibility

/// Multi-head attention of a sequence to itself: `softmax(q·kᵀ/√dh + logSizes)·v` per sample and head.
/// - Parameters:
///   - qkv: Shape `[B, L, 3·H·dh]`: along the channels all heads of q, then of k, then of v.
///   - heads: `H`.
///   - logSizes: `B·L` values added to the logits, one per key: with the logarithms of merged tokens' sizes, attention
///     is proportional to size (Bolya et al., 2023). No gradient flows into them.
///   - mask: Which keys each query sees. A query that sees none gives zeros.
/// - Returns: Shape `[B, L, H·dh]`.
/// - Complexity: No L × L buffer is kept: backward recomputes the probabilities from each row's log-sum-exp.
public func attention(
  qkv: Tensor, heads: Int, logSizes: Tensor? = nil, mask: AttentionMask = .none
) -> Tensor {
  require(
    qkv.dimensionCount == 3 && heads > 0 && qkv.channels % (3 * heads) == 0,
    "attention: \(heads) heads of qkv \(qkv.shape)")
  let (batch, length, width) = (qkv.shape[0], qkv.shape[1], qkv.channels / 3)
  let shape = AttentionShape(
    samples: batch, heads: heads, headSize: width / heads, queries: length, keys: length)
  check(mask, logSizes, against: shape)
  /// Part 0, 1, 2: q, k, v.
  func part(_ index: Int, of tensor: Tensor) -> HeadRows {
    HeadRows(tensor.pointer + index * width, rowStride: 3 * width, rows: length)
  }
  func kernel() -> Attention {
    Attention(
      shape, query: part(0, of: qkv), key: part(1, of: qkv), value: part(2, of: qkv), logSizes: logSizes?.pointer,
      mask: mask)
  }
  let y = Tensor(uninitialized: [batch, length, width])
  let logSumExp = Tensor(uninitialized: [batch, heads, length])
  OperationCount.add(shape.operationCount)
  kernel().apply(into: HeadRows(y.pointer, rowStride: width, rows: length), logSumExp: logSumExp.pointer)

  let node = qkv.node
  return y.recording(from: [qkv]) { dY in
    let dQKV = Tensor(repeating: 0, shape: qkv.shape)
    OperationCount.add(2 * shape.operationCount)
    kernel().applyGradient(
      HeadRows(dY.pointer, rowStride: width, rows: length), y: HeadRows(y.pointer, rowStride: width, rows: length),
      logSumExp: logSumExp.pointer, into: part(0, of: dQKV), dKey: part(1, of: dQKV), dValue: part(2, of: dQKV))
    node?.accumulate(adding: dQKV)
  }
}

/// Multi-head attention of one sequence to another: `softmax(q·kᵀ/√dh + logSizes)·v` per sample and head.
/// - Parameters:
///   - query: Shape `[B, Lq, H·dh]`.
///   - key: Shape `[B, Lk, H·dh]`.
///   - value: Shape `[B, Lk, H·dh]`.
///   - heads: `H`.
///   - logSizes: `B·Lk` values added to the logits, one per key; no gradient flows into them.
///   - mask: Which keys each query sees. A query that sees none gives zeros.
/// - Returns: Shape `[B, Lq, H·dh]`.
public func attention(
  query: Tensor, key: Tensor, value: Tensor, heads: Int, logSizes: Tensor? = nil, mask: AttentionMask = .none
) -> Tensor {
  require(
    query.dimensionCount == 3 && key.dimensionCount == 3 && key.shape == value.shape && heads > 0
      && query.shape[0] == key.shape[0] && query.channels == key.channels && key.channels % heads == 0,
    "attention: \(heads) heads of query \(query.shape), key \(key.shape), value \(value.shape)")
  let width = query.channels
  let shape = AttentionShape(
    samples: query.shape[0], heads: heads, headSize: width / heads, queries: query.shape[1], keys: key.shape[1])
  check(mask, logSizes, against: shape)
  func rows(_ tensor: Tensor) -> HeadRows {
    HeadRows(tensor.pointer, rowStride: width, rows: tensor.shape[1])
  }
  func kernel() -> Attention {
    Attention(
      shape, query: rows(query), key: rows(key), value: rows(value), logSizes: logSizes?.pointer, mask: mask)
  }
  let y = Tensor(uninitialized: query.shape)
  let logSumExp = Tensor(uninitialized: [shape.samples, heads, shape.queries])
  OperationCount.add(shape.operationCount)
  kernel().apply(into: rows(y), logSumExp: logSumExp.pointer)

  return y.recording(from: [query, key, value]) { dY in
    let gradients = [query, key, value].map { Tensor(repeating: 0, shape: $0.shape) }
    OperationCount.add(2 * shape.operationCount)
    kernel().applyGradient(
      rows(dY), y: rows(y), logSumExp: logSumExp.pointer, into: rows(gradients[0]), dKey: rows(gradients[1]),
      dValue: rows(gradients[2]))
    for (input, gradient) in zip([query, key, value], gradients) { input.node?.accumulate(adding: gradient) }
  }
}

private func check(_ mask: AttentionMask, _ logSizes: Tensor?, against shape: AttentionShape) {
  require(
    logSizes.map { $0.count == shape.samples * shape.keys } ?? true,
    "attention: logSizes \(logSizes?.shape ?? []) for \(shape.samples) × \(shape.keys) keys")
  switch mask {
  case .none, .causal: break
  case .prefix(let counts):
    require(counts.count == shape.samples, "attention: \(counts.count) key counts for \(shape.samples) samples")
  case .table(let table):
    require(
      table.queries == shape.queries && table.keys == shape.keys && [1, shape.samples].contains(table.samples),
      "attention: a mask of \(table.samples) × \(table.queries) × \(table.keys) for \(shape)")
  }
}
