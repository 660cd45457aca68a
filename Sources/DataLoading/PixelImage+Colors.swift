import CImageCodecs
import Foundation

// Changes of colour, by the rules of Pillow, which torchvision's and timm's augmentations call. Factors are relative:
// 1 leaves a picture as it is, 0 takes all of the quality away, and more than 1 exaggerates it.

extension PixelImage {
  /// The picture with its values scaled; 0 is black.
  func withBrightness(_ factor: Double) -> PixelImage {
    PixelImage(width: width, height: height, pixels: [UInt8](repeating: 0, count: pixels.count))
      .blended(to: self, factor)
  }

  /// The picture moved away from its mean lightness (rounded to a whole level); 0 is one shade of grey.
  func withContrast(_ factor: Double) -> PixelImage {
    let grey = desaturated().pixels
    var sum = 0
    for pixel in stride(from: 0, to: grey.count, by: 3) { sum += Int(grey[pixel]) }
    let mean = UInt8(Double(sum) / Double(width * height) + 0.5)
    return PixelImage(width: width, height: height, pixels: [UInt8](repeating: mean, count: pixels.count))
      .blended(to: self, factor)
  }

  /// The picture with its colours moved away from grey; 0 is greyscale.
  func withSaturation(_ factor: Double) -> PixelImage { desaturated().blended(to: self, factor) }

  /// The picture moved away from its smoothed self; 0 is smoothed.
  func withSharpness(_ factor: Double) -> PixelImage {
    mapped { codec_smooth($0, Int32(width), Int32(height), $1) }.blended(to: self, factor)
  }

  /// The picture with every hue turned.
  /// - Parameter turn: In turns, from −0.5 to 0.5; cut to 256ths.
  func withHueTurned(by turn: Double) -> PixelImage {
    let steps = UInt8(truncatingIfNeeded: Int(turn * 255))
    return mapped { codec_turn_hue($0, width * height, steps, $1) }
  }

  /// The picture in shades of grey: 0.299 red + 0.587 green + 0.114 blue.
  func desaturated() -> PixelImage { mapped { codec_desaturate($0, width * height, $1) } }

  /// 255 less every value.
  func inverted() -> PixelImage { withTables { _ in (0...255).map { UInt8(255 - $0) } } }

  /// The picture with the values from `threshold` on inverted.
  func solarized(from threshold: Int) -> PixelImage {
    withTables { _ in (0...255).map { UInt8($0 < threshold ? $0 : 255 - $0) } }
  }

  /// The picture with `amount` added to values below 128.
  func solarized(adding amount: Int) -> PixelImage {
    withTables { _ in (0...255).map { UInt8($0 < 128 ? min(255, $0 + amount) : $0) } }
  }

  /// The picture with only the upper `bits` of every value; none leave black.
  func posterized(to bits: Int) -> PixelImage {
    withTables { _ in (0...255).map { UInt8($0 & ~((1 << (8 - bits)) - 1)) } }
  }

  /// The picture with each channel stretched from its lowest and highest value to 0 and 255.
  func withFullRange() -> PixelImage {
    withTables { counts in
      guard let lowest = counts.firstIndex(where: { $0 > 0 }), let highest = counts.lastIndex(where: { $0 > 0 }),
        highest > lowest
      else { return Array(0...255) }
      let scale = 255 / Double(highest - lowest)
      return (0...255).map { UInt8(min(max(Double($0) * scale - Double(lowest) * scale, 0), 255)) }
    }
  }

  /// The picture with each channel's values spread so that all are about equally frequent.
  func equalized() -> PixelImage {
    withTables { counts in
      let occurring = counts.filter { $0 > 0 }
      let step = (occurring.reduce(0, +) - (occurring.last ?? 0)) / 255
      guard occurring.count > 1, step > 0 else { return Array(0...255) }
      var reached = step / 2
      return counts.map { count in
        defer { reached += count }
        return UInt8(min(reached / step, 255))
      }
    }
  }

  /// `start + factor (end − start)`; see `codec_blend`.
  private func blended(to end: PixelImage, _ factor: Double) -> PixelImage {
    mapped { start, output in codec_blend(start, end.pixels, pixels.count, Float(factor), output) }
  }

  /// The picture with the values of each channel looked up in a table of its own.
  /// - Parameter table: Gets how often each value occurs in a channel.
  private func withTables(_ table: (_ counts: ArraySlice<Int>) -> [UInt8]) -> PixelImage {
    var counts = [UInt32](repeating: 0, count: 768)
    codec_count_values(pixels, width * height, &counts)
    let tables = (0..<3).flatMap { table(counts[(256 * $0)..<(256 * $0 + 256)].map { Int($0) }[...]) }
    return mapped { codec_map_values($0, width * height, tables, $1) }
  }

  /// A picture of the same size whose pixels a codec function writes.
  func mapped(_ body: (UnsafePointer<UInt8>?, UnsafeMutablePointer<UInt8>?) -> Void) -> PixelImage {
    let result = [UInt8](unsafeUninitializedCapacity: pixels.count) { output, count in
      pixels.withUnsafeBufferPointer { body($0.baseAddress, output.baseAddress) }
      count = pixels.count
    }
    return PixelImage(width: width, height: height, pixels: result)
  }
}
