import Tensors

/// Numbers that are a function of a name and an index: weights of networks that nobody has to ship, for tests and as
/// stand-ins for trained ones.
///
/// FNV-1a 64 of `salt + key` gives a seed; z = mix(seed + (i+1)·0x9E3779B97F4A7C15) with splitmix64's finaliser; the value
/// is u = (z >> 40)/2^24.
public struct WeightsByRule: Sendable {
  /// Put in front of every key.
  public let salt: String

  /// The rule with a salt.
  public init(salt: String = "") { self.salt = salt }

  /// FNV-1a, 64 bits.
  public static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
  }

  /// u in `[0, 1)` for indices `0..<count` of a key.
  public func units(_ key: String, count: Int) -> [Double] {
    let seed = Self.hash(salt + key)
    return (0..<count).map { index in
      var z = seed &+ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      z ^= z >> 31
      return Double(z >> 40) / Double(1 << 24)
    }
  }

  /// The weight of a state-dict key and published shape.
  public func weights(_ key: String, shape: [Int]) -> [Float] {
    let units = units(key, count: shape.reduce(1, *))
    if shape.count >= 2 {
      let bound = (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
      return units.map { Float((2 * $0 - 1) * bound) }
    }
    if key.hasSuffix("running_var") { return units.map { Float(1 + 0.5 * $0) } }
    if key.hasSuffix("running_mean") || key.hasSuffix("bias") { return units.map { Float(0.1 * (2 * $0 - 1)) } }
    return units.map { Float(1 + 0.1 * (2 * $0 - 1)) }
  }
}

extension Module {
  /// Sets every parameter by its name; LPIPS's 1×1 weights (`lin…`) take the absolute value.
  public func setWeights(by rule: WeightsByRule) {
    for (name, parameter) in parameters {
      let weights = rule.weights(name, shape: parameter.publishedShape)
      parameter.setPublished(name.hasPrefix("lin") ? weights.map(abs) : weights)
    }
  }
}
