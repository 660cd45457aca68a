import Foundation

/// The numbers behind one drawing: SplitMix64, started from the seed and the image's index.
///
/// The standard library's `Float.random` may change its recipe between releases; here the same index must give the
/// same picture for ever, so bits become numbers by a rule of our own.
struct DrawnRandom {
  private var state: UInt64

  init(seed: UInt64, index: UInt64) {
    state = mixed(seed &+ 0x9E37_79B9_7F4A_7C15 &* mixed(index &+ 1))
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return mixed(state)
  }

  /// Uniform in `range`, from the upper 24 bits of one draw.
  mutating func uniform(_ range: ClosedRange<Float>) -> Float {
    range.lowerBound + (range.upperBound - range.lowerBound) * (Float(next() >> 40) * 0x1p-24)
  }

  /// A whole number in `range`.
  mutating func integer(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next() >> 33) % range.count
  }

  /// True with the given probability.
  mutating func chance(_ probability: Float) -> Bool { uniform(0...1) < probability }

  /// An angle in radians, all directions alike.
  mutating func angle() -> Float { uniform(0...(2 * .pi)) }
}

extension Float {
  var cosine: Float { cosf(self) }
  var sine: Float { sinf(self) }
  /// The part after the point, in [0, 1) for negative numbers too.
  var fraction: Float { self - rounded(.down) }
}

/// Smooth random fields over the plane: value noise, a random number per lattice point with smooth interpolation.
struct DrawnNoise {
  private let seed: UInt32

  init(using random: inout DrawnRandom) { seed = UInt32(truncatingIfNeeded: random.next()) }

  /// A value in [0, 1] that varies over a distance of about 1.
  func value(at point: DrawnPoint) -> Float {
    let column = point.x.rounded(.down)
    let row = point.y.rounded(.down)
    let (i, j) = (Int32(column), Int32(row))
    let u = smooth(point.x - column)
    let v = smooth(point.y - row)
    let top = lattice(i, j) + (lattice(i &+ 1, j) - lattice(i, j)) * u
    let bottom = lattice(i, j &+ 1) + (lattice(i &+ 1, j &+ 1) - lattice(i, j &+ 1)) * u
    return top + (bottom - top) * v
  }

  /// Three octaves, each half as strong and twice as fine as the one before; in [0, 1].
  func cloudiness(at point: DrawnPoint) -> Float {
    (4 * value(at: point) + 2 * value(at: point * 2 + 17) + value(at: point * 4 + 43)) / 7
  }

  /// A random number in [0, 1) for one lattice cell.
  func lattice(_ column: Int32, _ row: Int32) -> Float {
    var bits = seed ^ UInt32(bitPattern: column) &* 0x85EB_CA6B ^ UInt32(bitPattern: row) &* 0xC2B2_AE35
    bits = (bits ^ (bits >> 15)) &* 0x2C1B_3C6D
    bits = (bits ^ (bits >> 12)) &* 0x297A_2D39
    return Float((bits ^ (bits >> 15)) >> 8) * 0x1p-24
  }

  private func smooth(_ value: Float) -> Float { value * value * (3 - 2 * value) }
}
