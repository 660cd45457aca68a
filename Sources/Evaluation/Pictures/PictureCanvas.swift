import DataLoading

/// Red, green and blue from 0 to 1.
public struct PictureColor: Sendable, Equatable {
  var channels: SIMD3<Float>

  /// A colour from its three parts, each from 0 to 1.
  public init(red: Float, green: Float, blue: Float) { channels = [red, green, blue] }

  init(channels: SIMD3<Float>) { self.channels = channels }

  static let white = PictureColor(red: 1, green: 1, blue: 1)
  static let ink = PictureColor(red: 0.13, green: 0.14, blue: 0.16)
  static let subdued = PictureColor(red: 0.42, green: 0.44, blue: 0.48)
  static let hairline = PictureColor(red: 0.89, green: 0.90, blue: 0.92)

  /// Perceived lightness, from 0 to 1.
  var lightness: Float { 0.299 * channels.x + 0.587 * channels.y + 0.114 * channels.z }
}

/// Whole pixels, from the upper left corner.
struct PictureRectangle {
  var x: Int
  var y: Int
  var width: Int
  var height: Int

  var maxX: Int { x + width }
  var maxY: Int { y + height }
}

/// A sheet of pixels to draw on.
struct PictureCanvas {
  let width: Int
  let height: Int
  private(set) var pixels: [UInt8]

  init(width: Int, height: Int, background: PictureColor = .white) {
    self.width = width
    self.height = height
    pixels = Array(repeating: 255, count: width * height * 3)
    if background != .white { fill(PictureRectangle(x: 0, y: 0, width: width, height: height), with: background) }
  }

  /// What has been drawn.
  var image: PixelImage { PixelImage(width: width, height: height, pixels: pixels) }

  /// Mixes `color` into one pixel; places outside the sheet are left out.
  mutating func blend(_ color: PictureColor, x: Int, y: Int, opacity: Float) {
    guard (0..<width).contains(x), (0..<height).contains(y), opacity > 0 else { return }
    let start = (y * width + x) * 3
    for channel in 0..<3 {
      let old = Float(pixels[start + channel])
      let new = old + (color.channels[channel] * 255 - old) * min(opacity, 1)
      pixels[start + channel] = UInt8(min(max(new + 0.5, 0), 255))
    }
  }

  /// Fills a rectangle.
  mutating func fill(_ area: PictureRectangle, with color: PictureColor, opacity: Float = 1) {
    for y in max(area.y, 0)..<max(min(area.maxY, height), max(area.y, 0)) {
      for x in max(area.x, 0)..<max(min(area.maxX, width), max(area.x, 0)) {
        blend(color, x: x, y: y, opacity: opacity)
      }
    }
  }

  /// Draws the border of a rectangle, just inside it.
  mutating func frame(_ area: PictureRectangle, with color: PictureColor, thickness: Int = 1) {
    fill(PictureRectangle(x: area.x, y: area.y, width: area.width, height: thickness), with: color)
    fill(PictureRectangle(x: area.x, y: area.maxY - thickness, width: area.width, height: thickness), with: color)
    fill(PictureRectangle(x: area.x, y: area.y, width: thickness, height: area.height), with: color)
    fill(PictureRectangle(x: area.maxX - thickness, y: area.y, width: thickness, height: area.height), with: color)
  }

  /// Copies an image, each of its pixels as a square of `scale` × `scale`.
  mutating func draw(_ picture: PixelImage, x: Int, y: Int, scale: Int = 1) {
    for row in 0..<picture.height * scale where (0..<height).contains(y + row) {
      for column in 0..<picture.width * scale where (0..<width).contains(x + column) {
        let source = (row / scale * picture.width + column / scale) * 3
        let target = ((y + row) * width + x + column) * 3
        for channel in 0..<3 { pixels[target + channel] = picture.pixels[source + channel] }
      }
    }
  }

  /// Draws joined straight lines, anti-aliased, with round joints; the line covers evenly where it crosses itself.
  /// - Parameter clip: Nothing is drawn outside.
  mutating func strokeLine(
    through points: [SIMD2<Float>], thickness: Float, color: PictureColor, opacity: Float = 1, clip: PictureRectangle
  ) {
    let area = intersection(clip, PictureRectangle(x: 0, y: 0, width: width, height: height))
    guard points.count > 1, area.width > 0, area.height > 0 else { return }
    var covered = [Float](repeating: 0, count: area.width * area.height)
    let reach = thickness / 2 + 0.5
    for (start, end) in zip(points, points.dropFirst()) {
      let low = pointwiseMin(start, end) - reach
      let high = pointwiseMax(start, end) + reach
      // Clamped before the conversion: a value far outside the clip must not overflow an integer.
      let columns = pixelRange(low.x, high.x, from: area.x, to: area.maxX)
      for y in pixelRange(low.y, high.y, from: area.y, to: area.maxY) {
        for x in columns {
          let distance = distance(from: [Float(x) + 0.5, Float(y) + 0.5], to: start, end)
          let index = (y - area.y) * area.width + x - area.x
          covered[index] = max(covered[index], min(reach - distance, 1))
        }
      }
    }
    for y in 0..<area.height {
      for x in 0..<area.width where covered[y * area.width + x] > 0 {
        blend(color, x: area.x + x, y: area.y + y, opacity: covered[y * area.width + x] * opacity)
      }
    }
  }
}

/// Distance from a point to the straight line between two others.
func distance(from point: SIMD2<Float>, to start: SIMD2<Float>, _ end: SIMD2<Float>) -> Float {
  let along = end - start
  let squared = (along * along).sum()
  let share = squared > 0 ? min(max(((point - start) * along).sum() / squared, 0), 1) : 0
  let gap = point - start - along * share
  return (gap * gap).sum().squareRoot()
}

private func pixelRange(_ low: Float, _ high: Float, from first: Int, to end: Int) -> Range<Int> {
  let start = Int(min(max(low.rounded(.down), Float(first)), Float(end)))
  let stop = Int(min(max(high.rounded(.up), Float(first)), Float(end)))
  return start..<max(start, stop)
}

private func intersection(_ a: PictureRectangle, _ b: PictureRectangle) -> PictureRectangle {
  let (x, y) = (max(a.x, b.x), max(a.y, b.y))
  return PictureRectangle(x: x, y: y, width: min(a.maxX, b.maxX) - x, height: min(a.maxY, b.maxY) - y)
}
