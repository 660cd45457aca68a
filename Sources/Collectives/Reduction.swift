/// How the values of all ranks are combined into one.
///
/// For floats, a NaN on any rank makes the result NaN on every rank, whatever the reduction.
public enum Reduction: UInt8, Sendable, CaseIterable {
  /// `x₀ + x₁ + …`, in a fixed order at a given world size.
  case sum
  /// The sum divided by the world size; floating-point elements only.
  case mean
  /// The largest value.
  case max
  /// The smallest value.
  case min
}

/// An element type that ranks can reduce: `Float`, `Double` and `Int64`.
public protocol Reducible: BitwiseCopyable, Sendable {
  /// Writes `result[i] = a[i] ⊕ b[i]` for `count` elements, where `⊕` is addition for `.sum` and `.mean`.
  ///
  /// `result` may be `a` or `b`; otherwise the memory must not overlap.
  static func combine(
    _ a: UnsafePointer<Self>, _ b: UnsafePointer<Self>, into result: UnsafeMutablePointer<Self>, count: Int,
    _ reduction: Reduction)

  /// Divides `count` elements by `divisor` in place, which turns a sum into a mean.
  ///
  /// - Precondition: The type is a floating-point type: the mean of integers is not defined here.
  static func divide(_ values: UnsafeMutablePointer<Self>, count: Int, by divisor: Int)
}

// Explicit vectors: when `result` is `a`, the overlap check of the loop vectoriser would choose its scalar loop.
@inline(__always)
private func forEachBlock<Element, Block: SIMD>(
  _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, _ result: UnsafeMutablePointer<Element>, _ count: Int,
  _ block: (Block, Block) -> Block
) where Block.Scalar == Element {
  let (rawA, rawB, rawResult) = (UnsafeRawPointer(a), UnsafeRawPointer(b), UnsafeMutableRawPointer(result))
  var index = 0
  while index + Block.scalarCount <= count {
    let offset = index * MemoryLayout<Element>.stride
    let combined = block(
      rawA.loadUnaligned(fromByteOffset: offset, as: Block.self),
      rawB.loadUnaligned(fromByteOffset: offset, as: Block.self))
    rawResult.storeBytes(of: combined, toByteOffset: offset, as: Block.self)
    index += Block.scalarCount
  }
  while index < count {
    result[index] = block(Block(repeating: a[index]), Block(repeating: b[index]))[0]
    index += 1
  }
}

@inline(__always)
private func combineFloatingPoint<Block: SIMD>(
  _ a: UnsafePointer<Block.Scalar>, _ b: UnsafePointer<Block.Scalar>, into result: UnsafeMutablePointer<Block.Scalar>,
  count: Int, _ reduction: Reduction, as block: Block.Type
) where Block.Scalar: FloatingPoint {
  switch reduction {
  case .sum, .mean:
    forEachBlock(a, b, result, count) { (x: Block, y: Block) in x + y }
  case .max:  // x wins where it is NaN; where y is NaN the comparison is false and y wins.
    forEachBlock(a, b, result, count) { (x: Block, y: Block) in y.replacing(with: x, where: (x .> y) .| (x .!= x)) }
  case .min:
    forEachBlock(a, b, result, count) { (x: Block, y: Block) in y.replacing(with: x, where: (x .< y) .| (x .!= x)) }
  }
}

extension Float: Reducible {
  /// Writes `result[i] = a[i] ⊕ b[i]`.
  public static func combine(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>, count: Int,
    _ reduction: Reduction
  ) { combineFloatingPoint(a, b, into: result, count: count, reduction, as: SIMD16<Float>.self) }

  /// Divides `count` elements by `divisor` in place.
  public static func divide(_ values: UnsafeMutablePointer<Float>, count: Int, by divisor: Int) {
    for index in 0..<count { values[index] /= Float(divisor) }
  }
}

extension Double: Reducible {
  /// Writes `result[i] = a[i] ⊕ b[i]`.
  public static func combine(
    _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, into result: UnsafeMutablePointer<Double>, count: Int,
    _ reduction: Reduction
  ) { combineFloatingPoint(a, b, into: result, count: count, reduction, as: SIMD8<Double>.self) }

  /// Divides `count` elements by `divisor` in place.
  public static func divide(_ values: UnsafeMutablePointer<Double>, count: Int, by divisor: Int) {
    for index in 0..<count { values[index] /= Double(divisor) }
  }
}

extension Int64: Reducible {
  /// Writes `result[i] = a[i] ⊕ b[i]`; a sum that overflows wraps around.
  public static func combine(
    _ a: UnsafePointer<Int64>, _ b: UnsafePointer<Int64>, into result: UnsafeMutablePointer<Int64>, count: Int,
    _ reduction: Reduction
  ) {
    switch reduction {
    case .sum, .mean: forEachBlock(a, b, result, count) { (x: SIMD8<Int64>, y: SIMD8<Int64>) in x &+ y }
    case .max: forEachBlock(a, b, result, count) { (x: SIMD8<Int64>, y) in y.replacing(with: x, where: x .> y) }
    case .min: forEachBlock(a, b, result, count) { (x: SIMD8<Int64>, y) in y.replacing(with: x, where: x .< y) }
    }
  }

  /// Stops the program: the mean of integers is not an integer; reduce by `.sum`, or as `Double`.
  public static func divide(_ values: UnsafeMutablePointer<Int64>, count: Int, by divisor: Int) {
    fatalError("the mean of integers is not defined: reduce Int64 by .sum, .max or .min, or convert to Double")
  }
}
