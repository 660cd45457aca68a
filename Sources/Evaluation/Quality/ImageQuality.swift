import Glibc

/// How alike two images are.
public enum ImageQuality {
  /// The peak signal-to-noise ratio, `10·log10(range² / mean (a − b)²)` in dB; 100 for images that differ by less.
  /// - Parameters:
  ///   - a: Values of one image, in any order.
  ///   - b: Values of the other in the same order.
  ///   - range: The largest possible difference.
  public static func peakSignalToNoise(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, range: Double
  ) -> Double {
    require(a.count == b.count, "peakSignalToNoise: \(a.count) and \(b.count) values")
    var squares = 0.0
    for index in 0..<a.count {
      let difference = Double(a[index]) - Double(b[index])
      squares += difference * difference
    }
    return 10 * log10(range * range / max(squares / Double(a.count), range * range * 1e-10))
  }

  /// Structural similarity (Wang et al., 2004): Gaussian window of 11 pixels with σ 1.5, K₁ 0.01, K₂ 0.03, borders
  /// mirrored; the mean over pixels and channels.
  /// - Parameters:
  ///   - a: One image, `height × width × channels`, values in `[0, 1]`.
  ///   - b: The other.
  ///   - height: Rows of both.
  ///   - width: Columns of both.
  ///   - channels: Values of a pixel.
  /// - Precondition: Both sides have at least 6 pixels.
  public static func structuralSimilarity(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, height: Int, width: Int, channels: Int
  ) -> Double {
    require(
      a.count == height * width * channels && b.count == a.count && min(height, width) > reach,
      "structuralSimilarity: \(a.count) and \(b.count) values for \(height) × \(width) × \(channels)")
    let count = height * width
    var total = 0.0
    for channel in 0..<channels {
      let x = (0..<count).map { Double(a[$0 * channels + channel]) }
      let y = (0..<count).map { Double(b[$0 * channels + channel]) }
      func blur(_ values: [Double]) -> [Double] { blurred(values, height: height, width: width) }
      let (meanX, meanY) = (blur(x), blur(y))
      let (squareX, squareY) = (blur(x.map { $0 * $0 }), blur(y.map { $0 * $0 }))
      let product = blur(zip(x, y).map { $0 * $1 })
      for pixel in 0..<count {
        let (mx, my) = (meanX[pixel], meanY[pixel])
        let variances = squareX[pixel] - mx * mx + squareY[pixel] - my * my
        let covariance = product[pixel] - mx * my
        total +=
          (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) / ((mx * mx + my * my + 1e-4) * (variances + 9e-4))
      }
    }
    return total / Double(count * channels)
  }

  /// Pixels on either side of the window's middle.
  private static let reach = 5

  private static let window: [Double] = {
    let weights = (-reach...reach).map { exp(-Double($0 * $0) / (2 * 1.5 * 1.5)) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }()

  private static func blurred(_ values: [Double], height: Int, width: Int) -> [Double] {
    var rows = [Double](repeating: 0, count: values.count)
    for y in 0..<height {
      for x in 0..<width {
        var sum = 0.0
        for tap in -reach...reach { sum += window[tap + reach] * values[y * width + mirrored(x + tap, width)] }
        rows[y * width + x] = sum
      }
    }
    var result = rows
    for y in 0..<height {
      for x in 0..<width {
        var sum = 0.0
        for tap in -reach...reach { sum += window[tap + reach] * rows[mirrored(y + tap, height) * width + x] }
        result[y * width + x] = sum
      }
    }
    return result
  }

  /// An index outside, mirrored at the middle of the border pixel.
  private static func mirrored(_ index: Int, _ count: Int) -> Int {
    if index < 0 { return -index }
    return index < count ? index : 2 * count - 2 - index
  }
}
