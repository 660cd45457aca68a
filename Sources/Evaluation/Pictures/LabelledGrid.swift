import DataLoading

/// Images in rows with a line of text below each, for instance samples of a generator with their classes.
public struct LabelledGrid: Sendable {
  /// Line above everything; empty for none.
  public var title: String
  /// In reading order.
  public var images: [PixelImage]
  /// Text below each image; empty for no text at all, otherwise one per image.
  public var labels: [String]
  /// Images beside each other.
  public var columns: Int
  /// Result pixels per side of an image pixel; nil enlarges small images to at least 96 pixels.
  public var scale: Int?

  /// Describes the picture; `image()` draws it.
  public init(title: String = "", images: [PixelImage], labels: [String] = [], columns: Int = 8, scale: Int? = nil) {
    self.title = title
    self.images = images
    self.labels = labels
    self.columns = max(columns, 1)
    self.scale = scale
  }

  /// Draws all images on one sheet; images of different sizes are centred in tiles of the largest size.
  public func image() -> PixelImage {
    let margin = 16
    let gap = 6
    let side = images.map { max($0.width, $0.height) }.max() ?? 32
    let scale = scale ?? max(1, (96 + side - 1) / side)
    let tile = side * scale
    let columns = max(min(columns, images.count), 1)
    let rows = (images.count + columns - 1) / columns
    let rowHeight = tile + (labels.isEmpty ? gap : 26)
    let top = margin + (title.isEmpty ? 0 : 34)
    var canvas = PictureCanvas(
      width: 2 * margin + columns * (tile + gap) - gap, height: top + rows * rowHeight + margin - gap)
    let heading = PictureTextStyle.title.fitted(title, to: canvas.width - 2 * margin)
    canvas.write(heading, x: Float(margin), y: Float(margin), style: .title)
    for (index, picture) in images.enumerated() {
      let x = margin + index % columns * (tile + gap)
      let y = top + index / columns * rowHeight
      let (left, above) = (x + (tile - picture.width * scale) / 2, y + (tile - picture.height * scale) / 2)
      canvas.draw(picture, x: left, y: above, scale: scale)
      guard labels.indices.contains(index) else { continue }
      let label = PictureTextStyle.small.fitted(labels[index], to: tile)
      canvas.write(label, x: Float(x) + Float(tile) / 2, y: Float(y + tile + 5), style: .small, alignment: .center)
    }
    return canvas.image
  }
}
