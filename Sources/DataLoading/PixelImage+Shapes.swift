import CImageCodecs
import Foundation

extension PixelImage {
  /// A part of the picture.
  /// - Precondition: The window is not empty and lies in the picture.
  func cropped(to window: PixelWindow) -> PixelImage {
    require(
      window.columns.lowerBound >= 0 && window.rows.lowerBound >= 0 && window.columns.upperBound <= width
        && window.rows.upperBound <= height, "cropped: window \(window) is not a part of \(width)×\(height)")
    let rowByteCount = window.columns.count * 3
    var part: [UInt8] = []
    part.reserveCapacity(rowByteCount * window.rows.count)
    for row in window.rows {
      let start = (row * width + window.columns.lowerBound) * 3
      part.append(contentsOf: pixels[start..<(start + rowByteCount)])
    }
    return PixelImage(width: window.columns.count, height: window.rows.count, pixels: part)
  }

  /// How values between pixels are found when a picture is turned or sheared.
  enum Interpolation: CaseIterable {
    case linear, cubic
  }

  /// The picture through an affine map of the plane, as Pillow's `Image.transform(size, AFFINE, …)`.
  /// - Parameters:
  ///   - matrix: `a, b, c, d, e, f`: the pixel at (x, y) comes from (ax + by + c, dx + ey + f).
  ///   - fill: What lies outside the picture.
  func transformed(_ matrix: [Double], _ interpolation: Interpolation, fill: [UInt8]) -> PixelImage {
    require(matrix.count == 6 && fill.count == 3, "transformed: \(matrix.count) coefficients, \(fill.count) channels")
    return mapped { codec_transform($0, Int32(width), Int32(height), matrix, interpolation == .cubic, fill, $1) }
  }

  /// The picture turned counter-clockwise about its middle.
  func rotated(degrees: Double, _ interpolation: Interpolation, fill: [UInt8]) -> PixelImage {
    let angle = -degrees * .pi / 180
    // Rounded as Pillow rounds: right angles become exact.
    let (cosine, sine) = ((cos(angle) * 1e15).rounded() / 1e15, (sin(angle) * 1e15).rounded() / 1e15)
    let (x, y) = (Double(width) / 2, Double(height) / 2)
    return transformed(
      [cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y], interpolation, fill: fill)
  }

  /// The picture under a Gaussian of standard deviation `sigma` pixels, cut to `kernelSize` pixels, mirrored at the
  /// border: torchvision's `gaussian_blur`.
  /// - Precondition: `kernelSize` is odd.
  func blurred(sigma: Double, kernelSize: Int) -> PixelImage {
    require(kernelSize % 2 == 1 && sigma > 0, "blurred: kernel of \(kernelSize) pixels, sigma \(sigma)")
    // Mirroring reaches no further than the opposite border.
    let radius = min(kernelSize / 2, width - 1, height - 1)
    let weights = (-radius...radius).map { exp(-0.5 * (Double($0) / sigma) * (Double($0) / sigma)) }
    let sum = weights.reduce(0, +)
    let kernel = weights.map { Float($0 / sum) }
    return mapped { input, output in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * (width * height + width + 2 * radius)) { scratch in
        codec_blur(input, Int32(width), Int32(height), kernel, Int32(radius), scratch.baseAddress, output)
      }
    }
  }
}
