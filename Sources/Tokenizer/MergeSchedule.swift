import Glibc

/// How many tokens each ToMe block merges, and how many tokens a training step keeps (method: paper section 3.2; the
/// schedule with an inflection is that of Bolya et al., 2023).
public enum MergeSchedule {
  /// Merges per block, falling linearly from 1.5·r to 0.5·r, with the sum exactly `total`.
  ///
  /// r is the integer whose truncated schedule has the sum nearest to `total`; the first block absorbs the rest.
  public static func merges(total: Int, blocks: Int) -> [Int] {
    guard blocks > 1, total > 0 else { return blocks > 0 ? [total] + Array(repeating: 0, count: blocks - 1) : [] }
    func schedule(_ r: Int) -> [Int] {
      let first = Int(1.5 * Double(r))
      let step = Double(2 * (r - first)) / Double(blocks - 1)
      return (0..<blocks).map { Int(Double(first) + step * Double($0)) }
    }
    var best = schedule(0)
    for r in 1...max(1, 2 * total / blocks + 2) {
      let candidate = schedule(r)
      if abs(candidate.reduce(0, +) - total) < abs(best.reduce(0, +) - total) { best = candidate }
    }
    best[0] += total - best.reduce(0, +)
    return best
  }

  /// Merges per block on the way from `positions` tokens (and the class token) to `keep`.
  ///
  /// No block merges more than half of its tokens: where the schedule asks for more, more than `keep` tokens are left.
  /// Where few merges are spread over many blocks, the first block's remainder is negative; the next ones make up for it.
  public static func merges(keep: Int, of positions: Int, blocks: Int) -> [Int] {
    var tokens = positions + 1
    var surplus = 0
    return merges(total: positions - keep, blocks: blocks).map { wanted in
      let merged = max(0, min(wanted + surplus, (tokens - 1) / 2))
      surplus = min(0, wanted + surplus)
      tokens -= merged
      return merged
    }
  }

  /// Whether `blocks` blocks merge `positions` tokens into exactly `keep`.
  public static func isReachable(keep: Int, of positions: Int, blocks: Int) -> Bool {
    keep > 0 && keep <= positions && blocks > 0
      && merges(keep: keep, of: positions, blocks: blocks).reduce(0, +) == positions - keep
  }

  /// The keep count of training step `step`: the same on every rank, and again the same after a resume.
  ///
  /// u = (step mod 100)/100 picks the first of `counts` whose normalised cumulative weight is at least u.
  public static func keepCount(
    step: Int, counts: [Int], distribution: TokenizerConfig.KeepDistribution
  ) -> Int {
    let weights = counts.indices.map { index -> Double in
      let i = Double(index)
      return switch distribution {
      case .gaussian: exp(-(i - 1) * (i - 1) / (2 * 0.5 * 0.5)) + 0.05
      case .exponential: 2 * exp(-2 * i) + 0.1
      case .uniform: 1
      }
    }
    let total = weights.reduce(0, +)
    let draw = Double(step % 100) / 100
    var cumulative = 0.0
    for (count, weight) in zip(counts, weights) {
      cumulative += weight / total
      if cumulative >= draw { return count }
    }
    return counts.last ?? 0
  }
}
