/// A picture as bytes: what a decoder yields and an encoder takes.
public struct PixelImage: Sendable, Equatable {
  /// Number of columns.
  public let width: Int
  /// Number of rows.
  public let height: Int
  /// Red, green, blue for each pixel, row by row from the top left: `[height, width, 3]`, values 0 to 255 (sRGB).
  public let pixels: [UInt8]

  /// Wraps pixels that are already there.
  /// - Precondition: `pixels.count == width * height * 3`, and neither side is zero.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    require(
      width > 0 && height > 0 && pixels.count == width * height * 3,
      "PixelImage: \(pixels.count) bytes cannot be \(width)×\(height) RGB pixels")
    self.width = width
    self.height = height
    self.pixels = pixels
  }
}
