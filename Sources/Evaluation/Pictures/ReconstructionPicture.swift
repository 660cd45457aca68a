import DataLoading

/// What a tokenizer kept of some images: original, reconstruction and merge map side by side.
public struct ReconstructionPicture: Sendable {
  /// One image and what became of it.
  public struct Sample: Sendable {
    /// The image that was encoded.
    public var original: PixelImage
    /// What the decoder made of its tokens, of the same size.
    public var reconstruction: PixelImage
    /// Which token positions were merged; nil where nothing is merged.
    public var mergeMap: MergeMap?
    /// Text below, for instance class and PSNR.
    public var caption: String

    /// Gathers the parts of one sample.
    public init(original: PixelImage, reconstruction: PixelImage, mergeMap: MergeMap? = nil, caption: String = "") {
      self.original = original
      self.reconstruction = reconstruction
      self.mergeMap = mergeMap
      self.caption = caption
    }
  }

  /// Line above everything; empty for none.
  public var title: String
  /// In reading order.
  public var samples: [Sample]
  /// Samples beside each other.
  public var samplesPerRow: Int
  /// Result pixels per side of an image pixel; nil enlarges small images to at least 128 pixels.
  public var scale: Int?

  /// Describes the picture; `image()` draws it.
  public init(title: String = "", samples: [Sample], samplesPerRow: Int = 2, scale: Int? = nil) {
    self.title = title
    self.samples = samples
    self.samplesPerRow = max(samplesPerRow, 1)
    self.scale = scale
  }

  /// Draws all samples on one sheet.
  ///
  /// Images of different sizes are each centred in a tile of the largest size.
  public func image() -> PixelImage {
    let hasMaps = samples.contains { $0.mergeMap != nil }
    let captions = ["original", "reconstruction"] + (hasMaps ? ["merge map"] : [])
    let side = samples.map { max($0.original.width, $0.original.height) }.max() ?? 32
    let scale = scale ?? max(1, (128 + side - 1) / side)
    let layout = Layout(
      tile: side * scale, tilesPerSample: captions.count, samples: samples, samplesPerRow: samplesPerRow,
      hasTitle: !title.isEmpty)
    var canvas = PictureCanvas(width: layout.width, height: layout.height)
    if !title.isEmpty {
      let text = PictureTextStyle.title.fitted(title, to: layout.width - 2 * layout.margin)
      canvas.write(text, x: Float(layout.margin), y: Float(layout.margin), style: .title)
    }
    for column in 0..<min(samplesPerRow, samples.count) {
      for (tile, caption) in captions.enumerated() {
        let x = Float(layout.x(column: column, tile: tile)) + Float(layout.tile) / 2
        let text = PictureTextStyle.label.fitted(caption, to: layout.tile)
        canvas.write(text, x: x, y: Float(layout.headingTop), style: .label, alignment: .center)
      }
    }
    for (index, sample) in samples.enumerated() {
      let (row, column) = (index / samplesPerRow, index % samplesPerRow)
      let y = layout.y(row: row)
      canvas.draw(sample.original, centredIn: layout, x: layout.x(column: column, tile: 0), y: y, scale: scale)
      canvas.draw(sample.reconstruction, centredIn: layout, x: layout.x(column: column, tile: 1), y: y, scale: scale)
      if let map = sample.mergeMap {
        let picture = map.picture(of: sample.original, scale: scale)
        canvas.draw(picture, centredIn: layout, x: layout.x(column: column, tile: 2), y: y, scale: 1)
      }
      let text = PictureTextStyle.small.fitted(sample.caption, to: layout.sampleWidth)
      canvas.write(text, x: Float(layout.x(column: column, tile: 0)), y: Float(y + layout.tile + 7), style: .small)
    }
    return canvas.image
  }
}

/// Where the tiles lie, in pixels.
private struct Layout {
  let margin = 20
  let gap = 6
  let tile: Int
  let tilesPerSample: Int
  let columns: Int
  let rows: Int
  let hasCaptions: Bool
  let headingTop: Int

  init(
    tile: Int, tilesPerSample: Int, samples: [ReconstructionPicture.Sample], samplesPerRow: Int, hasTitle: Bool
  ) {
    self.tile = tile
    self.tilesPerSample = tilesPerSample
    columns = max(min(samplesPerRow, samples.count), 1)
    rows = (samples.count + samplesPerRow - 1) / samplesPerRow
    hasCaptions = samples.contains { !$0.caption.isEmpty }
    headingTop = margin + (hasTitle ? 38 : 0)
  }

  var sampleWidth: Int { tilesPerSample * tile + (tilesPerSample - 1) * gap }
  var rowHeight: Int { tile + (hasCaptions ? 32 : gap) }
  var width: Int { 2 * margin + columns * sampleWidth + (columns - 1) * 28 }
  var height: Int { y(row: rows) + margin - (hasCaptions ? 12 : gap) }

  func x(column: Int, tile index: Int) -> Int { margin + column * (sampleWidth + 28) + index * (tile + gap) }
  func y(row: Int) -> Int { headingTop + 22 + row * rowHeight }
}

extension PictureCanvas {
  fileprivate mutating func draw(_ picture: PixelImage, centredIn layout: Layout, x: Int, y: Int, scale: Int) {
    let left = x + (layout.tile - picture.width * scale) / 2
    let top = y + (layout.tile - picture.height * scale) / 2
    draw(picture, x: left, y: top, scale: scale)
  }
}
