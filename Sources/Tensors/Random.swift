import Glibc

/// The splitmix64 generator (Steele, Lea and Flood, 2014): every seed gives an independent stream.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A stream for `seed`.
  public init(seed: UInt64) { state = seed }

  /// A stream for the combination of a seed and what it is used for, e.g. `(seed, purpose, sample, step)`.
  public init(seed: UInt64, _ keys: UInt64...) {
    state = seed
    for key in keys { state = Self.mix(state &+ 0x9E37_79B9_7F4A_7C15) ^ (key &* 0xD134_2543_DE82_EF95 &+ 1) }
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Self.mix(state)
  }

  /// A number in `[0, 1)` with 24 bits.
  public mutating func nextUnit() -> Float { Float(next() >> 40) * 0x1p-24 }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

extension Tensor {
  /// Independent values uniform in `range`.
  public static func uniform(in range: ClosedRange<Float>, shape: [Int], using random: inout SplitMix64) -> Tensor {
    let result = Tensor(uninitialized: shape)
    let width = range.upperBound - range.lowerBound
    for index in 0..<result.count { result.pointer[index] = range.lowerBound + width * random.nextUnit() }
    return result
  }

  /// Independent normal values (Box–Muller).
  public static func normal(
    mean: Float = 0, standardDeviation: Float = 1, shape: [Int], using random: inout SplitMix64
  ) -> Tensor {
    let result = Tensor(uninitialized: shape)
    for index in 0..<result.count {
      let radius = (-2 * log(1 - random.nextUnit())).squareRoot()
      result.pointer[index] = mean + standardDeviation * radius * cos(2 * .pi * random.nextUnit())
    }
    return result
  }
}
