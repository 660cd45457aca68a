import Tensors

/// Codes as the generator sees them: the lower bits of a code as one token, the upper bits as another.
public struct CodePairs: Sendable, Equatable {
  /// The first factor of every code: its lower bits.
  public var pre: [Int32]
  /// The second factor of every code: its upper bits.
  public var post: [Int32]

  /// Pairs of as many first as second factors.
  public init(pre: [Int32] = [], post: [Int32] = []) {
    require(pre.count == post.count, "CodePairs: \(pre.count) first and \(post.count) second factors")
    self.pre = pre
    self.post = post
  }

  /// Splits codes after their lowest `preBits` bits.
  public init(codes: [Int32], preBits: Int) {
    pre = codes.map { $0 & (1 << Int32(preBits) - 1) }
    post = codes.map { $0 >> Int32(preBits) }
  }

  /// The number of codes.
  public var count: Int { pre.count }

  /// The whole codes.
  public func codes(preBits: Int) -> [Int32] { zip(pre, post).map { $0 | $1 << Int32(preBits) } }

  /// Codes `range` of every one of `count / length` samples.
  func positions(_ range: Range<Int>, of length: Int) -> CodePairs {
    func part(_ values: [Int32]) -> [Int32] {
      stride(from: 0, to: values.count, by: length).flatMap { values[$0 + range.lowerBound..<$0 + range.upperBound] }
    }
    return CodePairs(pre: part(pre), post: part(post))
  }
}
