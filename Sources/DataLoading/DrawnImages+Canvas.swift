/// A place on the drawing board: both coordinates run from -1 to 1, x to the right and y downwards.
typealias DrawnPoint = SIMD2<Float>
/// Red, green and blue, each from 0 to 1.
typealias DrawnColor = SIMD3<Float>

/// The square drawing board of one image.
///
/// Shapes are signed distances (negative inside), so an edge is anti-aliased by one formula at every resolution:
/// how much of the pixel lies inside is read from the distance at its centre.
struct DrawnCanvas {
  /// Pixels per side.
  let resolution: Int
  /// Width of a pixel in board coordinates.
  let pixelWidth: Float
  private var colors: [DrawnColor]

  init(resolution: Int) {
    self.resolution = resolution
    pixelWidth = 2 / Float(resolution)
    colors = Array(repeating: .zero, count: resolution * resolution)
  }

  /// Gives every pixel the colour of its centre.
  mutating func fill(_ color: (DrawnPoint) -> DrawnColor) {
    for row in 0..<resolution {
      let y = (Float(row) + 0.5) * pixelWidth - 1
      for column in 0..<resolution {
        colors[row * resolution + column] = color([(Float(column) + 0.5) * pixelWidth - 1, y])
      }
    }
  }

  /// Paints the inside of a shape over what is there.
  /// - Parameters:
  ///   - softness: Width of a blurred edge in board coordinates; edges are never sharper than a pixel.
  ///   - opacity: 1 covers, 0 leaves everything as it is.
  ///   - distance: Signed distance to the outline, negative inside.
  ///   - color: Asked only where the shape shows; gets the place and its signed distance.
  mutating func paint(
    softness: Float = 0, opacity: Float = 1, where distance: (DrawnPoint) -> Float,
    color: (DrawnPoint, Float) -> DrawnColor
  ) {
    let edge = max(pixelWidth, softness)
    for row in 0..<resolution {
      let y = (Float(row) + 0.5) * pixelWidth - 1
      for column in 0..<resolution {
        let point = DrawnPoint((Float(column) + 0.5) * pixelWidth - 1, y)
        let depth = distance(point)
        guard depth < edge / 2 else { continue }
        let coverage = smoothStep(0.5 - depth / edge, isSmooth: softness > 0) * opacity
        let index = row * resolution + column
        colors[index] = mix(colors[index], color(point, depth), coverage)
      }
    }
  }

  /// The picture as bytes, `[height, width, 3]`.
  func bytes() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: colors.count * 3) { buffer, count in
      for (index, color) in colors.enumerated() {
        let scaled = color.clamped(lowerBound: .zero, upperBound: .one) * 255 + 0.5
        for channel in 0..<3 { buffer[index * 3 + channel] = UInt8(scaled[channel]) }
      }
      count = colors.count * 3
    }
  }
}

private func smoothStep(_ value: Float, isSmooth: Bool) -> Float {
  let clamped = min(max(value, 0), 1)
  return isSmooth ? clamped * clamped * (3 - 2 * clamped) : clamped
}

/// `a` where `amount` is 0, `b` where it is 1, and the line between.
@inline(__always)
func mix(_ a: DrawnColor, _ b: DrawnColor, _ amount: Float) -> DrawnColor { a + (b - a) * amount }

/// How much of a pixel lies on the inner side of an edge, from the signed distance in units of `width`.
@inline(__always)
func coverage(_ distance: Float, width: Float) -> Float { min(max(0.5 - distance / width, 0), 1) }

extension DrawnPoint {
  var length: Float { (x * x + y * y).squareRoot() }

  func dot(_ other: DrawnPoint) -> Float { x * other.x + y * other.y }
}

/// Turning, scaling and shifting of a shape: board coordinates to the shape's own and back.
struct DrawnPlacement {
  let center: DrawnPoint
  /// Board units per unit of the shape.
  let size: Float
  private let cosine: Float
  private let sine: Float

  /// - Parameter angle: In radians, clockwise on the board.
  init(center: DrawnPoint, size: Float, angle: Float) {
    self.center = center
    self.size = size
    (cosine, sine) = (angle.cosine, angle.sine)
  }

  /// The board's `point` in the coordinates of the shape.
  @inline(__always)
  func local(_ point: DrawnPoint) -> DrawnPoint {
    let offset = (point - center) / size
    return [cosine * offset.x + sine * offset.y, cosine * offset.y - sine * offset.x]
  }
}
