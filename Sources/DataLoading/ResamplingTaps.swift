import CImageCodecs

/// Which inputs make up each output of a one-dimensional resize, and with which weights.
///
/// Bicubic convolution (Keys 1981, a = −0.5). Where the output is smaller, the kernel is stretched by the ratio, which
/// keeps fine patterns from aliasing; weights are divided by their sum, so edges keep their brightness. The rule and the
/// fixed-point rounding are those of Pillow's `Image.resize(BICUBIC)`, which published pipelines use.
struct ResamplingTaps {
  /// The inputs that are read at all.
  let inputRange: Range<Int>
  /// Per output: its first input, counted from `inputRange.lowerBound`.
  private var starts: [Int32]
  private var counts: [Int32]
  /// `stride` weights per output, with `CODEC_FRACTION_BITS` fraction bits.
  private var weights: [Int32]
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
    starts = Array(repeating: 0, count: window.count)
    counts = starts
    weights = Array(repeating: 0, count: window.count * stride)

    // One kernel's worth of scratch: this runs for every image, and small allocations would cost more than the sums.
    var kernel = [Double](repeating: 0, count: stride)
    var lowest = inputCount
    var highest = 0
    for (index, output) in window.enumerated() {
      let center = (Double(output) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let count = min(Int(center + support + 0.5), inputCount) - first
      var sum = 0.0
      for tap in 0..<count {
        kernel[tap] = bicubic((Double(first + tap) - center + 0.5) * shrink)
        sum += kernel[tap]
      }
      for tap in 0..<count { kernel[tap] /= sum }
      // Where nothing is resized only one weight is left: dropping the zeros makes that a copy.
      let fixed = { (tap: Int) in fixedPoint(kernel[tap]) }
      var used = 0..<count
      while let tap = used.first, fixed(tap) == 0 { used.removeFirst() }
      while let tap = used.last, fixed(tap) == 0 { used.removeLast() }

      let place = isReversed ? window.count - 1 - index : index
      starts[place] = Int32(first + used.lowerBound)
      counts[place] = Int32(used.count)
      for tap in used { weights[place * stride + tap - used.lowerBound] = fixed(tap) }
      lowest = min(lowest, first + used.lowerBound)
      highest = max(highest, first + used.upperBound)
    }
    inputRange = lowest..<highest
    for index in starts.indices { starts[index] -= Int32(lowest) }
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

private func fixedPoint(_ weight: Double) -> Int32 {
  // Half away from zero, as Pillow rounds; `rounded()` would be a call for each weight.
  let scaled = weight * Double(1 << CODEC_FRACTION_BITS)
  return Int32(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
}

private func bicubic(_ x: Double) -> Double {
  let a = -0.5
  let x = abs(x)
  if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
  if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
  return 0
}
