import DataLoading

/// Which token positions of one image were merged into which group.
public struct MergeMap: Sendable, Equatable {
  /// Token positions per row of the image.
  public let columns: Int
  /// Rows of token positions.
  public let rows: Int
  /// Group of each position, row by row; the numbers only say which positions belong together.
  public let groups: [Int32]

  /// A map of `rows` × `columns` token positions.
  /// - Precondition: `groups` has an entry for each position.
  public init(groups: [Int32], columns: Int, rows: Int) {
    require(groups.count == columns * rows, "a merge map needs one group per position")
    self.columns = columns
    self.rows = rows
    self.groups = groups
  }

  /// A map of a square grid of token positions.
  /// - Precondition: The number of positions is a square.
  public init(squareOf groups: [Int32]) {
    let side = Int(Double(groups.count).squareRoot().rounded())
    self.init(groups: groups, columns: side, rows: side)
  }

  /// Paints every group in the mean colour of its pixels and draws the borders between groups.
  /// - Parameters:
  ///   - original: The image the tokens were made from, of any size.
  ///   - scale: Result pixels per side of an original pixel.
  /// - Returns: An image of `scale` times the original's size.
  public func picture(of original: PixelImage, scale: Int = 1) -> PixelImage {
    let colors = meanColors(of: original)
    var canvas = PictureCanvas(width: original.width * scale, height: original.height * scale)
    let group = { (x: Int, y: Int) -> Int32 in
      groups[y * rows / canvas.height * columns + x * columns / canvas.width]
    }
    for y in 0..<canvas.height {
      for x in 0..<canvas.width {
        canvas.blend(colors[group(x, y)] ?? .white, x: x, y: y, opacity: 1)
      }
    }
    // A border is one pixel on its upper or left side; dark areas get a light one.
    for y in 0..<canvas.height {
      for x in 0..<canvas.width {
        let own = group(x, y)
        let neighbors = [x + 1 < canvas.width ? group(x + 1, y) : own, y + 1 < canvas.height ? group(x, y + 1) : own]
        guard let other = neighbors.first(where: { $0 != own }) else { continue }
        let lightness = max(colors[own]?.lightness ?? 1, colors[other]?.lightness ?? 1)
        canvas.blend(lightness < 0.4 ? .white : .ink, x: x, y: y, opacity: lightness < 0.4 ? 0.5 : 0.65)
      }
    }
    return canvas.image
  }

  private func meanColors(of image: PixelImage) -> [Int32: PictureColor] {
    var sums = [Int32: (color: SIMD3<Float>, count: Float)]()
    for y in 0..<image.height {
      for x in 0..<image.width {
        let group = groups[y * rows / image.height * columns + x * columns / image.width]
        let start = (y * image.width + x) * 3
        let color = SIMD3(
          Float(image.pixels[start]), Float(image.pixels[start + 1]), Float(image.pixels[start + 2]))
        let sum = sums[group, default: (.zero, 0)]
        sums[group] = (sum.color + color, sum.count + 1)
      }
    }
    return sums.mapValues { PictureColor(channels: $0.color / ($0.count * 255)) }
  }
}
