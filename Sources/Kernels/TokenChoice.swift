import Glibc

/// How one token is chosen from a row of logits.
public struct TokenFilter: Codable, Sendable, Equatable {
  /// Logits are divided by it first. 0 chooses the largest logit.
  public var temperature: Float = 1
  /// Only the k largest logits remain, and any equal to the smallest of them. 0: all.
  public var topK = 0
  /// Then only the most probable ones remain, up to and including the one whose cumulated probability exceeds p.
  public var topP: Float = 1

  /// All tokens as they come.
  public init(temperature: Float = 1, topK: Int = 0, topP: Float = 1) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
  }

  /// Which of `count` logits may be chosen.
  public func kept(_ logits: UnsafePointer<Float>, count: Int) -> [Bool] {
    var kept = [Bool](repeating: true, count: count)
    let cutsK = topK > 0 && topK < count
    guard cutsK || topP < 1 else { return kept }
    // Order-preserving integers with the position in the low half: largest first, ties in order of position.
    var order = (0..<count).map { UInt64(~Self.ordered(logits[$0])) << 32 | UInt64($0) }
    order.sort()
    var remaining = count
    if cutsK {
      let smallest = order[topK - 1] >> 32
      remaining = order.lastIndex { $0 >> 32 <= smallest }.map { $0 + 1 } ?? count
    }
    if topP < 1 {
      let positions = order.prefix(remaining).map { Int($0 & 0xffff_ffff) }
      let weights = positions.map { Self.weight(logits[$0], of: logits[positions[0]], temperature) }
      let limit = Double(topP) * weights.reduce(0, +)
      var cumulated = 0.0
      remaining = 0
      for weight in weights where cumulated <= limit {
        cumulated += weight
        remaining += 1
      }
    }
    for entry in order[remaining...] { kept[Int(entry & 0xffff_ffff)] = false }
    return kept
  }

  /// Chooses one of `count` logits with a uniform number in `[0, 1)`.
  public func choose(_ logits: UnsafePointer<Float>, count: Int, uniform: Float) -> Int {
    var best = 0
    for index in 1..<max(count, 1) where logits[index] > logits[best] { best = index }
    guard temperature > 0, topK != 1 else { return best }
    let kept = kept(logits, count: count)
    var weights = [Double](repeating: 0, count: count)
    var sum = 0.0
    for index in 0..<count where kept[index] {
      weights[index] = Self.weight(logits[index], of: logits[best], temperature)
      sum += weights[index]
    }
    var target = Double(uniform) * sum
    for index in 0..<count where kept[index] {
      target -= weights[index]
      if target < 0 { return index }
    }
    return best  // rounding took the last share
  }

  private static func weight(_ logit: Float, of largest: Float, _ temperature: Float) -> Double {
    exp(Double(logit - largest) / Double(temperature))
  }

  /// Integers that compare as the floats do.
  private static func ordered(_ value: Float) -> UInt32 {
    let bits = value.bitPattern
    return bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
  }
}
