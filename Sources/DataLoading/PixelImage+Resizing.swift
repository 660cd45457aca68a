import CImageCodecs

/// A rectangle of pixels.
public struct PixelWindow: Sendable, Equatable {
  /// Columns, from the left.
  public var columns: Range<Int>
  /// Rows, from the top.
  public var rows: Range<Int>

  /// The rectangle of these columns and rows.
  public init(columns: Range<Int>, rows: Range<Int>) {
    self.columns = columns
    self.rows = rows
  }

  /// The rectangle in the middle of a picture; where it cannot be, one place further left or up.
  public init(centeredIn size: (width: Int, height: Int), width: Int, height: Int) {
    let left = (size.width - width) / 2
    let top = (size.height - height) / 2
    self.init(columns: left..<(left + width), rows: top..<(top + height))
  }
}

extension PixelImage {
  /// The size with the given shorter side and the same proportions, the longer side rounded down (as torchvision's
  /// `Resize` does).
  public func size(withShorterSide side: Int) -> (width: Int, height: Int) {
    width <= height ? (side, max(side * height / width, 1)) : (max(side * width / height, 1), side)
  }

  /// The picture resized by antialiased bicubic interpolation, as Pillow's `Image.resize(…, BICUBIC)`.
  public func resized(width: Int, height: Int) -> PixelImage {
    resized(
      width: width, height: height, window: PixelWindow(columns: 0..<width, rows: 0..<height), isFlipped: false)
  }

  /// A window of the resized picture; what lies outside it is not computed.
  /// - Parameters:
  ///   - width: Width that the whole picture is resized to.
  ///   - height: Height that the whole picture is resized to.
  ///   - window: The part of the resized picture that is wanted.
  ///   - isFlipped: Whether the window is mirrored left to right.
  /// - Precondition: The window is not empty and lies in the resized picture.
  public func resized(width: Int, height: Int, window: PixelWindow, isFlipped: Bool) -> PixelImage {
    require(
      !window.columns.isEmpty && !window.rows.isEmpty && window.columns.lowerBound >= 0
        && window.rows.lowerBound >= 0 && window.columns.upperBound <= width && window.rows.upperBound <= height,
      "resized: window \(window) is not a part of \(width)×\(height)")
    let horizontal = ResamplingTaps(
      inputCount: self.width, outputCount: width, window: window.columns, isReversed: isFlipped)
    let vertical = ResamplingTaps(inputCount: self.height, outputCount: height, window: window.rows)
    let rows = resampledRows(horizontal, rows: vertical.inputRange, outputWidth: window.columns.count)

    let rowByteCount = window.columns.count * 3
    let byteCount = rowByteCount * window.rows.count
    let result = [UInt8](unsafeUninitializedCapacity: byteCount) { output, count in
      vertical.withTaps { taps in
        codec_resample_columns(rows, rowByteCount, taps, output.baseAddress, Int32(window.rows.count))
      }
      count = byteCount
    }
    return PixelImage(width: window.columns.count, height: window.rows.count, pixels: result)
  }

  /// Resizes along x, only those rows that the vertical pass will read.
  private func resampledRows(_ taps: ResamplingTaps, rows: Range<Int>, outputWidth: Int) -> [UInt8] {
    let inputWidth = taps.inputRange.count
    let scratchSize = codec_horizontal_scratch_size(Int32(inputWidth), Int32(outputWidth))
    let byteCount = rows.count * outputWidth * 3
    return [UInt8](unsafeUninitializedCapacity: byteCount) { output, count in
      pixels.withUnsafeBufferPointer { input in
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: scratchSize) { scratch in
          taps.withTaps { weights in
            codec_resample_rows(
              input.baseAddress?.advanced(by: (rows.lowerBound * width + taps.inputRange.lowerBound) * 3), width * 3,
              Int32(inputWidth), Int32(rows.count), weights, output.baseAddress, Int32(outputWidth),
              scratch.baseAddress)
          }
        }
      }
      count = byteCount
    }
  }
}
