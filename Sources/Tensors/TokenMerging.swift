import Kernels

/// Which tokens of each sample become one, after bipartite soft matching (Bolya et al., 2023).
///
/// Old token `t` of sample `b` goes into new token `groupIndex[b·tokenCount + t]`. New tokens are numbered: survivors
/// at even positions in ascending order first, then every odd position.
public struct MergePlan: Sendable, Equatable {
  /// Samples.
  public let batch: Int
  /// Tokens per sample before and after merging.
  public let tokenCount: Int, keptCount: Int
  /// The new token of every old one, `batch × tokenCount`.
  public let groupIndex: [Int32]

  /// Where the original tokens are now: `index[b·L + l]` is the token that original `l` was in before this merge.
  public func following(_ index: [Int32]) -> [Int32] {
    let length = index.count / max(batch, 1)
    return index.indices.map { groupIndex[$0 / max(length, 1) * tokenCount + Int(index[$0])] }
  }
}

/// The keys averaged over heads and divided by their norm: the metric that tokens are matched by.
/// - Parameters:
///   - qkv: Shape `[B, L, 3·H·dh]`, laid out as for `attention`.
///   - heads: `H`.
/// - Returns: Shape `[B, L, dh]`, outside the tape: choices carry no gradient.
public func meanKeys(qkv: Tensor, heads: Int) -> Tensor {
  require(
    qkv.dimensionCount == 3 && qkv.channels % (3 * heads) == 0, "meanKeys: \(heads) heads of qkv \(qkv.shape)")
  let size = qkv.channels / 3 / heads
  let result = Tensor(uninitialized: [qkv.shape[0], qkv.shape[1], size])
  parallelChunks(qkv.rows, of: 64) { range in
    for row in range {
      let keys = qkv.pointer + row * qkv.channels + heads * size
      let out = result.pointer + row * size
      for head in 0..<heads {
        scale(keys + head * size, by: 1 / Float(heads), into: out, count: size, accumulating: head > 0)
      }
      let norm = Float(dot(out, out, count: size).squareRoot())
      if norm > 0 { for channel in 0..<size { out[channel] /= norm } }
    }
  }
  return result
}

/// Matches every token at an even position (set A) with the most similar token at an odd position (set B) and merges
/// the `count` most similar pairs.
///
/// Position 0, the class token, is never merged away. Of equally similar partners the first is taken, and of equally
/// similar pairs those with the lowest position.
/// - Parameters:
///   - metric: Shape `[B, T, dh]`, unit vectors.
///   - count: Tokens to remove per sample, `0...(T − 1)/2`.
public func mergePlan(metric: Tensor, count: Int) -> MergePlan {
  require(
    metric.dimensionCount == 3 && count >= 0 && count <= max(0, (metric.shape[1] - 1) / 2),
    "mergePlan: \(count) tokens of metric \(metric.shape)")
  let (batch, length) = (metric.shape[0], metric.shape[1])
  var groupIndex = [Int32](repeating: 0, count: batch * length)
  groupIndex.withUnsafeMutableBufferPointer { groups in
    let groups = UnsafeMutableBufferPointer(rebasing: groups[...])
    parallelFor(batch) { sample in
      let sampleGroups = UnsafeMutableBufferPointer(rebasing: groups[sample * length..<(sample + 1) * length])
      match(metric, sample: sample, count: count, into: sampleGroups)
    }
  }
  return MergePlan(batch: batch, tokenCount: length, keptCount: length - count, groupIndex: groupIndex)
}

private func match(_ metric: Tensor, sample: Int, count: Int, into groups: UnsafeMutableBufferPointer<Int32>) {
  let (length, size) = (metric.shape[1], metric.shape[2])
  let (evenCount, oddCount) = ((length + 1) / 2, length / 2)
  var merged = [Bool](repeating: false, count: evenCount)
  var partner = [Int32](repeating: 0, count: evenCount)
  if count > 0 {
    let first = metric.pointer + sample * length * size
    let even = MatrixView(first, rows: evenCount, columns: size, rowStride: 2 * size)
    let odd = MatrixView(first + size, rows: oddCount, columns: size, rowStride: 2 * size)
    let scores = Tensor(uninitialized: [evenCount, oddCount])
    gemmOnThisThread(even, odd.transposed, into: scores.matrix)
    var best = [Float](repeating: 0, count: evenCount)
    rowMaxima(scores.pointer, rows: evenCount, columns: oddCount, into: &best, positions: &partner)
    // Swift's sort is stable in fact but not by contract, hence the position in the comparison.
    let order = (1..<evenCount).sorted { (best[$0], $1) > (best[$1], $0) }
    for position in order.prefix(count) { merged[position] = true }
  }
  let survivors = evenCount - count
  var next: Int32 = 0
  for position in 0..<evenCount where !merged[position] {
    groups[2 * position] = next
    next += 1
  }
  for position in 0..<oddCount { groups[2 * position + 1] = Int32(survivors + position) }
  for position in 0..<evenCount where merged[position] {
    groups[2 * position] = Int32(survivors) + partner[position]
  }
}

/// Merges tokens into their size-weighted averages; sizes add.
/// - Parameters:
///   - x: Shape `[B, T, C]`.
///   - sizes: Original tokens in each token, `B·T` values.
///   - plan: What goes where.
/// - Returns: Shape `[B, T − r, C]`, with a gradient to `x` through the averages, and the new sizes.
public func mergeTokens(_ x: Tensor, sizes: [Float], plan: MergePlan) -> (tokens: Tensor, sizes: [Float]) {
  require(
    x.dimensionCount == 3 && x.shape[0] == plan.batch && x.shape[1] == plan.tokenCount
      && sizes.count == plan.groupIndex.count,
    "mergeTokens: x \(x.shape), \(sizes.count) sizes, plan for \(plan.batch) × \(plan.tokenCount)")
  let (length, kept, channels) = (plan.tokenCount, plan.keptCount, x.channels)
  let groups = plan.groupIndex
  var newSizes = [Float](repeating: 0, count: plan.batch * kept)
  for token in groups.indices { newSizes[token / length * kept + Int(groups[token])] += sizes[token] }
  // Each token's share of its group.
  let shares = groups.indices.map { sizes[$0] / newSizes[$0 / length * kept + Int(groups[$0])] }

  let y = Tensor(repeating: 0, shape: [plan.batch, kept, channels])
  parallelFor(plan.batch) { sample in
    for token in sample * length..<(sample + 1) * length {
      let target = y.pointer + (sample * kept + Int(groups[token])) * channels
      scale(
        x.pointer + token * channels, by: shares[token], into: target, count: channels, accumulating: true)
    }
  }
  let node = x.node
  let tokens = y.recording(from: [x]) { dY in
    node?.accumulate { dX, accumulating in
      parallelChunks(groups.count, of: 64) { range in
        for token in range {
          let source = dY.pointer + (token / length * kept + Int(groups[token])) * channels
          scale(
            source, by: shares[token], into: dX.pointer + token * channels, count: channels,
            accumulating: accumulating)
        }
      }
    }
  }
  return (tokens, newSizes)
}
