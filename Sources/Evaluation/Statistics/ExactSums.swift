/// Sums that do not depend on their order: the same bits for any number of ranks.
///
/// Every addend is cut into two integers, multiples of 2⁻²⁰ and of 2⁻⁶⁰, and integers add up exactly. What an addend
/// has below 2⁻⁶⁰ is rounded once, by itself.
public struct ExactSums: Sendable, Equatable {
  /// The sums' multiples of 2⁻²⁰; ranks add theirs up, element by element.
  public var high: [Int64]
  /// The sums' multiples of 2⁻⁶⁰.
  public var low: [Int64]
  /// Whether an addend was not finite or too large; nothing can be said about the sums then.
  public private(set) var isBroken = false

  private static let highUnit = 0x1p-20
  private static let lowSteps = 0x1p40
  /// With at most 2²² addends of this size, nothing overflows.
  private static let largest = 0x1p20

  /// That many sums of nothing.
  public init(count: Int) {
    high = Array(repeating: 0, count: count)
    low = Array(repeating: 0, count: count)
  }

  /// Adds a value to every sum.
  /// - Precondition: There are as many values as sums.
  public mutating func add(_ values: UnsafeBufferPointer<Double>) {
    require(values.count == high.count, "ExactSums: \(values.count) values for \(high.count) sums")
    var isGood = true
    high.withUnsafeMutableBufferPointer { high in
      low.withUnsafeMutableBufferPointer { low in
        for index in 0..<values.count {
          let value = values[index]
          // False for NaN, too.
          guard abs(value) <= Self.largest else {
            isGood = false
            continue
          }
          let scaled = value / Self.highUnit
          let whole = scaled.rounded(.down)
          high[index] &+= Int64(whole)
          low[index] &+= Int64(((scaled - whole) * Self.lowSteps).rounded())
        }
      }
    }
    if !isGood { isBroken = true }
  }

  /// Adds one value to one sum.
  public mutating func add(_ value: Double, at index: Int) {
    guard abs(value) <= Self.largest else {
      isBroken = true
      return
    }
    let scaled = value / Self.highUnit
    let whole = scaled.rounded(.down)
    high[index] &+= Int64(whole)
    low[index] &+= Int64(((scaled - whole) * Self.lowSteps).rounded())
  }

  /// The sums; not a number where they are broken.
  public var values: [Double] {
    guard !isBroken else { return Array(repeating: .nan, count: high.count) }
    return zip(high, low).map { Double($0) * Self.highUnit + Double($1) * (Self.highUnit / Self.lowSteps) }
  }

  /// Marks the sums as broken, because another rank's are.
  public mutating func markBroken() { isBroken = true }
}
