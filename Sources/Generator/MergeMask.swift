public import Tensors

/// What a token of MergeAR sees of the tokens before it (method section 2.2).
///
/// The first position of a merged group in raster order is its *representative*, all others are *duplicates* that repeat
/// its code. A token sees the class, the merge instruction, itself, the `window` tokens before it, and, further back,
/// representatives alone.
public enum MergeMask {
  /// The representative of every position.
  /// - Parameters:
  ///   - groups: `B·length` numbers; positions of a sample with equal numbers are one group.
  ///   - length: Positions of a sample.
  /// - Returns: `B·length` positions within their samples.
  public static func representatives(groups: [Int32], length: Int) -> [Int32] {
    var result = [Int32](repeating: 0, count: groups.count)
    for start in stride(from: 0, to: groups.count, by: max(1, length)) {
      var firsts: [Int32: Int32] = [:]
      for position in 0..<min(length, groups.count - start) {
        let first = firsts[groups[start + position]] ?? Int32(position)
        firsts[groups[start + position]] = first
        result[start + position] = first
      }
    }
    return result
  }

  /// Whether token `query` sees token `key` of the same sample.
  @inline(__always)
  static func sees(_ query: Int, _ key: Int, keyIsRepresentative: Bool, window: Int) -> Bool {
    key <= query && (query - key <= window || keyIsRepresentative)
  }

  /// The mask over the sequence [class, instruction, token 0, …, token L − 2], `[B, L + 1, L + 1]`. The class sees itself
  /// alone.
  /// - Parameters:
  ///   - representatives: `B·length` positions.
  ///   - length: L.
  ///   - window: Recent tokens that are seen in any case, besides the token itself.
  public static func visibility(representatives: [Int32], length: Int, window: Int) -> KeyVisibility {
    let isRepresentative = representatives.indices.map { Int(representatives[$0]) == $0 % length }
    return KeyVisibility(samples: representatives.count / length, queries: length + 1, keys: length + 1) {
      sample, query, key in
      if key < 2 { return query >= key }
      guard key <= query else { return false }
      return sees(
        query - 2, key - 2, keyIsRepresentative: isRepresentative[sample * length + key - 2], window: window)
    }
  }
}

extension Transformer {
  /// Logits of every position in raster order, with a merge instruction and duplicates leaving the context.
  /// - Parameters:
  ///   - codes: `B·L` codes in raster order; positions of a group repeat its code.
  ///   - classes: `B` classes.
  ///   - keepCounts: Tokens that each sample was merged to, or one number for all samples.
  ///   - representatives: `B·L` positions, see `MergeMask.representatives`.
  ///   - window: Instead of the configuration's.
  ///   - draws: Dropout, in training.
  /// - Precondition: The order is `raster`.
  public func merged(
    _ codes: CodePairs, classes: [Int32], keepCounts: [Int], representatives: [Int32], window: Int? = nil,
    draws: TrainingDraws? = nil
  ) -> Logits {
    let (batch, length) = (classes.count, codes.count / max(1, classes.count))
    require(
      codes.count == length * batch && (1...config.positionCount).contains(length)
        && representatives.count == codes.count && [1, batch].contains(keepCounts.count),
      "merged: \(codes.count) codes, \(representatives.count) representatives, \(keepCounts.count) keep counts for "
        + "\(batch) classes")
    let keepCounts = keepCounts.count == batch ? keepCounts : Array(repeating: keepCounts[0], count: batch)
    var parts = [embedded(classes: classes), mergeInstruction(keepCounts)]
    if length > 1 { parts.append(embedded(codes.positions(0..<length - 1, of: length), batch: batch)) }
    let mask = MergeMask.visibility(
      representatives: representatives, length: length, window: window ?? config.window)
    let rows = [0] + (0..<Int32(length)).map { $0 }
    let h = sequence(joined(parts), rows: rows, mask: .table(mask), draws: draws)
    return logits(h.tokens(1..<length + 1), pre: codes.pre, draws: draws)
  }

  /// The instruction tokens of keep counts: the learned row of a candidate, and between two candidates the linear
  /// interpolation of their rows.
  /// - Returns: Shape `[B, 1, D]`.
  func mergeInstruction(_ keepCounts: [Int]) -> Tensor {
    guard let mergeEmbedding else { fatalError("mergeInstruction: order \(config.order) has none") }
    let candidates = config.keepCounts
    let places = keepCounts.map { keep -> (lower: Int32, upper: Int32, share: Float) in
      guard let upper = candidates.firstIndex(where: { $0 >= keep }) else {
        let last = Int32(candidates.count - 1)
        return (last, last, 0)
      }
      if upper == 0 || candidates[upper] == keep { return (Int32(upper), Int32(upper), 0) }
      let (low, high) = (candidates[upper - 1], candidates[upper])
      return (Int32(upper - 1), Int32(upper), Float(keep - low) / Float(high - low))
    }
    let shape = [keepCounts.count, 1]
    let lower = mergeEmbedding(places.map(\.lower), shape: shape)
    if places.allSatisfy({ $0.share == 0 }) { return lower }
    let upper = mergeEmbedding(places.map(\.upper), shape: shape)
    return scaledBySample(lower, places.map { 1 - $0.share }) + scaledBySample(upper, places.map(\.share))
  }
}
