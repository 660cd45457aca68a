import CImageCodecs

/// A resize that is decided before the pixels are there, so that only those it reads need be decoded.
///
/// Antialiased bicubic interpolation, as Pillow's `Image.resize(…, BICUBIC)`.
struct Resampling {
  /// The pixels that are read, a part of the picture.
  let inputWindow: PixelWindow
  /// Size of the result.
  let width: Int, height: Int
  fileprivate let horizontal: ResamplingTaps
  fileprivate let vertical: ResamplingTaps

  /// - Parameters:
  ///   - source: The part of a picture that is resized, as if nothing were around it.
  ///   - width: Width that all of `source` is resized to.
  ///   - height: Height that all of `source` is resized to.
  ///   - window: The part of the result that is wanted; the rest is not computed.
  ///   - isFlipped: Whether the window is mirrored left to right.
  /// - Precondition: The window is not empty and lies in the result.
  init(of source: PixelWindow, width: Int, height: Int, window: PixelWindow, isFlipped: Bool) {
    require(
      !window.columns.isEmpty && !window.rows.isEmpty && PixelWindow(width: width, height: height).contains(window),
      "resized: window \(window) is not a part of \(width)×\(height)")
    horizontal = ResamplingTaps(
      inputCount: source.columns.count, outputCount: width, window: window.columns, isReversed: isFlipped)
    vertical = ResamplingTaps(inputCount: source.rows.count, outputCount: height, window: window.rows)
    inputWindow = PixelWindow(
      columns: horizontal.inputRange.shifted(by: source.columns.lowerBound),
      rows: vertical.inputRange.shifted(by: source.rows.lowerBound))
    (self.width, self.height) = (window.columns.count, window.rows.count)
  }

  /// Resizes a whole picture.
  func callAsFunction(_ image: PixelImage) -> PixelImage {
    let rows = ResampledRows(self)
    image.pixels.withUnsafeBufferPointer {
      rows.add($0, rowByteCount: image.width * 3, at: PixelWindow(width: image.width, height: image.height))
    }
    return rows.finished()
  }
}

/// A resampling under way: rows are resized along x as they come, and along y when all are there.
final class ResampledRows {
  /// Rows that are best added at a time; strips should begin at multiples of it.
  static let stripHeight = 16

  private let resampling: Resampling
  private let rows: UnsafeMutableBufferPointer<UInt8>

  init(_ resampling: Resampling) {
    self.resampling = resampling
    rows = .allocate(capacity: resampling.inputWindow.rows.count * resampling.width * 3)
  }

  deinit { rows.deallocate() }

  /// Takes the rows that matter of a strip.
  /// - Parameters:
  ///   - pixels: Interleaved RGB, rows `rowByteCount` bytes apart.
  ///   - place: Where in the picture the strip lies.
  /// - Precondition: The strip holds all columns of the resampling's `inputWindow`.
  func add(_ pixels: UnsafeBufferPointer<UInt8>, rowByteCount: Int, at place: PixelWindow) {
    let window = resampling.inputWindow
    let wanted = place.rows.clamped(to: window.rows)
    guard !wanted.isEmpty else { return }
    require(
      place.columns.lowerBound <= window.columns.lowerBound && window.columns.upperBound <= place.columns.upperBound,
      "resampling: columns \(window.columns) are not in the strip's \(place.columns)")
    let first =
      (wanted.lowerBound - place.rows.lowerBound) * rowByteCount
      + (window.columns.lowerBound - place.columns.lowerBound) * 3
    let (inputWidth, outputWidth) = (Int32(window.columns.count), Int32(resampling.width))
    let output = rows.baseAddress?.advanced(by: (wanted.lowerBound - window.rows.lowerBound) * resampling.width * 3)
    let scratchSize = codec_horizontal_scratch_size(inputWidth, outputWidth)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: scratchSize) { scratch in
      resampling.horizontal.withTaps { taps in
        codec_resample_rows(
          pixels.baseAddress?.advanced(by: first), rowByteCount, inputWidth, Int32(wanted.count), taps, output,
          outputWidth, scratch.baseAddress)
      }
    }
  }

  /// The result.
  /// - Precondition: All rows of the resampling's `inputWindow` were added.
  func finished() -> PixelImage {
    let (width, height) = (resampling.width, resampling.height)
    let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { output, count in
      resampling.vertical.withTaps { taps in
        codec_resample_columns(rows.baseAddress, width * 3, taps, output.baseAddress, Int32(height))
      }
      count = width * height * 3
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }
}

extension Range<Int> {
  fileprivate func shifted(by distance: Int) -> Range { (lowerBound + distance)..<(upperBound + distance) }
}
