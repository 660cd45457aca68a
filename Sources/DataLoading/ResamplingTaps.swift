import CImageCodecs
import Foundation

/// Which inputs make up each output of a one-dimensional resize, and with which weights.
///
/// Bicubic convolution (Keys 1981, a = −0.5). Where the output is smaller, the kernel is stretched by the ratio, which
/// keeps fine patterns from aliasing; weights are divided by their sum, so edges keep their brightness. The rule and the
/// fixed-point rounding are those of Pillow's `Image.resize(BICUBIC)`, which published pipelines use.
struct ResamplingTaps {
  /// The inputs that are read at all.
  let inputRange: Range<Int>
  /// Per output: its first input, counted from `inputRange.lowerBound`.
  private var starts: [Int32] = []
  private var counts: [Int32] = []
  /// `stride` weights per output, with `CODEC_FRACTION_BITS` fraction bits.
  private var weights: [Int32] = []
  private let stride: Int

  /// - Parameters:
  ///   - inputCount: Size of the whole input.
  ///   - outputCount: Size that the whole input is resized to.
  ///   - window: The part of the output that is wanted.
  ///   - isReversed: Whether the window is wanted from its end to its start.
  init(inputCount: Int, outputCount: Int, window: Range<Int>, isReversed: Bool = false) {
    let scale = Double(inputCount) / Double(outputCount)
    let stretch = max(scale, 1)
    let shrink = 1 / stretch
    let support = 2 * stretch
    stride = Int(support.rounded(.up)) * 2 + 1
    var absoluteStarts: [Int] = []
    for output in isReversed ? Array(window.reversed()) : Array(window) {
      let center = (Double(output) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), inputCount)
      let kernel = (first..<end).map { bicubic((Double($0) - center + 0.5) * shrink) }
      let sum = kernel.reduce(0, +)
      var fixed = kernel.map { weight in
        Int32((weight / sum * Double(1 << CODEC_FRACTION_BITS)).rounded(.toNearestOrAwayFromZero))
      }
      // Where nothing is resized only one weight is left: dropping the zeros makes that a copy.
      let leadingZeros = fixed.prefix { $0 == 0 }.count
      fixed.removeFirst(leadingZeros)
      while fixed.last == 0 { fixed.removeLast() }
      absoluteStarts.append(first + leadingZeros)
      counts.append(Int32(fixed.count))
      weights += fixed + Array(repeating: 0, count: stride - fixed.count)
    }
    let ends = zip(absoluteStarts, counts).map { $0 + Int($1) }
    let lowest = absoluteStarts.min() ?? 0
    inputRange = lowest..<(ends.max() ?? 0)
    starts = absoluteStarts.map { Int32($0 - lowest) }
  }

  /// Lends the arrays to a codec function.
  func withTaps(_ body: (UnsafePointer<codec_taps>) -> Void) {
    starts.withUnsafeBufferPointer { starts in
      counts.withUnsafeBufferPointer { counts in
        weights.withUnsafeBufferPointer { weights in
          var taps = codec_taps(
            starts: starts.baseAddress, counts: counts.baseAddress, weights: weights.baseAddress,
            stride: Int32(stride))
          body(&taps)
        }
      }
    }
  }
}

private func bicubic(_ x: Double) -> Double {
  let a = -0.5
  let x = abs(x)
  if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
  if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
  return 0
}
