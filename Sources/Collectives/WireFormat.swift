/// How floats are written in messages between nodes. Sums are always taken in 32 bits, and what stays within a node is
/// never rounded.
public enum WireFormat: String, Codable, Sendable, CaseIterable {
  /// As they are.
  case float32
  /// Rounded to the nearest bfloat16, ties to even: half the bytes, 8 significant bits.
  case bfloat16

  /// Writes the upper halves of `count` rounded floats. A NaN stays one.
  public static func round(_ values: UnsafePointer<Float>, into halves: UnsafeMutablePointer<UInt16>, count: Int) {
    for index in 0..<count {
      let bits = values[index].bitPattern
      let rounded = (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16
      // Rounding could carry a NaN's payload into the sign.
      halves[index] = UInt16(truncatingIfNeeded: bits & 0x7fff_ffff > 0x7f80_0000 ? (bits >> 16) | 0x40 : rounded)
    }
  }

  /// Adds to `sums` the floats whose upper halves are given.
  public static func add(_ halves: UnsafePointer<UInt16>, to sums: UnsafeMutablePointer<Float>, count: Int) {
    for index in 0..<count { sums[index] += Float(bitPattern: UInt32(halves[index]) << 16) }
  }
}
