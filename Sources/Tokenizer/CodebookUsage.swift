import Glibc

/// How often each code was used, and what follows from it. Counts of several ranks add up exactly.
public struct CodebookUsage: Sendable, Equatable {
  /// Uses of every code, `2^d` counts.
  public var counts: [Int64]

  /// No uses of any of `2^codeBits` codes.
  public init(codeBits: Int) { counts = Array(repeating: 0, count: 1 << codeBits) }

  /// Counts codes.
  public mutating func add(_ indices: [Int32]) {
    for index in indices { counts[Int(index)] += 1 }
  }

  /// Forgets all counts.
  public mutating func reset() { for index in counts.indices { counts[index] = 0 } }

  /// Tokens counted.
  public var total: Int64 { counts.reduce(0, +) }
  /// Codes used at least once.
  public var usedCount: Int { counts.count { $0 > 0 } }
  /// Codes never used.
  public var deadCount: Int { counts.count - usedCount }
  /// Share of the codebook that was used, in `0...1`.
  public var usedShare: Double { Double(usedCount) / Double(counts.count) }

  /// exp(H) of the distribution of uses, H in nats: the number of codes that an even use of so much diversity needs.
  public var perplexity: Double {
    let total = Double(self.total)
    guard total > 0 else { return 0 }
    let entropy = counts.reduce(0.0) { sum, count in
      guard count > 0 else { return sum }
      let share = Double(count) / total
      return sum - share * log(share)
    }
    return exp(entropy)
  }

  /// For every bit, the share of tokens that have it set: 0.5 is balanced.
  public var bitShares: [Double] {
    let total = Double(max(self.total, 1))
    return (0..<counts.count.trailingZeroBitCount).map { bit in
      Double(counts.indices.reduce(Int64(0)) { $1 >> bit & 1 == 1 ? $0 + counts[$1] : $0 }) / total
    }
  }
}
