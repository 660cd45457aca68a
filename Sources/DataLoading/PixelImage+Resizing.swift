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

  /// All of a picture of that size.
  public init(width: Int, height: Int) { self.init(columns: 0..<width, rows: 0..<height) }

  /// The rectangle in the middle of a picture; where it cannot be, one place further left or up.
  public init(centeredIn size: (width: Int, height: Int), width: Int, height: Int) {
    let left = (size.width - width) / 2
    let top = (size.height - height) / 2
    self.init(columns: left..<(left + width), rows: top..<(top + height))
  }

  /// Whether the other rectangle is a part of this one.
  func contains(_ other: PixelWindow) -> Bool {
    columns.lowerBound <= other.columns.lowerBound && other.columns.upperBound <= columns.upperBound
      && rows.lowerBound <= other.rows.lowerBound && other.rows.upperBound <= rows.upperBound
  }

  /// The smallest rectangle that holds both.
  func union(_ other: PixelWindow) -> PixelWindow {
    PixelWindow(
      columns: min(columns.lowerBound, other.columns.lowerBound)..<max(columns.upperBound, other.columns.upperBound),
      rows: min(rows.lowerBound, other.rows.lowerBound)..<max(rows.upperBound, other.rows.upperBound))
  }
}

/// The size with the given shorter side and the same proportions, the longer side rounded down (as torchvision's
/// `Resize` does).
func size(ofWidth width: Int, height: Int, withShorterSide side: Int) -> (width: Int, height: Int) {
  width <= height ? (side, max(side * height / width, 1)) : (max(side * width / height, 1), side)
}

extension PixelImage {
  /// The size with the given shorter side and the same proportions, the longer side rounded down (as torchvision's
  /// `Resize` does).
  public func size(withShorterSide side: Int) -> (width: Int, height: Int) {
    DataLoading.size(ofWidth: width, height: height, withShorterSide: side)
  }

  /// The picture resized by antialiased bicubic interpolation, as Pillow's `Image.resize(…, BICUBIC)`.
  public func resized(width: Int, height: Int) -> PixelImage {
    resized(width: width, height: height, window: PixelWindow(width: width, height: height), isFlipped: false)
  }

  /// A window of the resized picture; what lies outside it is not computed.
  /// - Parameters:
  ///   - width: Width that the whole picture is resized to.
  ///   - height: Height that the whole picture is resized to.
  ///   - window: The part of the resized picture that is wanted.
  ///   - isFlipped: Whether the window is mirrored left to right.
  /// - Precondition: The window is not empty and lies in the resized picture.
  public func resized(width: Int, height: Int, window: PixelWindow, isFlipped: Bool) -> PixelImage {
    let whole = PixelWindow(width: self.width, height: self.height)
    return Resampling(of: whole, width: width, height: height, window: window, isFlipped: isFlipped)(self)
  }
}
