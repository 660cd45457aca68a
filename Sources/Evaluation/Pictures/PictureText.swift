/// Where text lies relative to its anchor.
enum PictureTextAlignment {
  case left, center, right
}

/// Which way text runs.
enum PictureTextDirection {
  case right, up
}

/// Size and colour of text.
struct PictureTextStyle {
  /// Pixels between neighbouring dots of the font: a capital letter is about seven times as high.
  var pitch: Float
  var color: PictureColor
  /// Thickness of the pen, in dots.
  var weight: Float = 0.95

  static let title = PictureTextStyle(pitch: 2.4, color: .ink, weight: 1.2)
  static let heading = PictureTextStyle(pitch: 1.9, color: .ink, weight: 1.15)
  static let label = PictureTextStyle(pitch: 1.6, color: .ink)
  static let small = PictureTextStyle(pitch: 1.5, color: .subdued)

  /// Height of a capital letter in pixels.
  var capHeight: Float { PictureFont.capHeight * pitch + weight * pitch }

  /// Width of the text in pixels.
  func width(of text: String) -> Float {
    max(text.reduce(0) { $0 + PictureFont.glyph(of: $1).advance } - 1, 0) * pitch
  }

  /// The text, shortened with dots at its end where it is wider than `limit` pixels.
  func fitted(_ text: String, to limit: Int) -> String {
    guard width(of: text) > Float(limit) else { return text }
    var shortened = text
    while !shortened.isEmpty, width(of: shortened + "...") > Float(limit) { shortened.removeLast() }
    return shortened + "..."
  }
}

extension PictureCanvas {
  /// Writes one line of text.
  /// - Parameters:
  ///   - x: The anchor; `alignment` says which part of the text lies there.
  ///   - y: Top of the capital letters for text to the right, the anchor along the line for text upwards.
  mutating func write(
    _ text: String, x: Float, y: Float, style: PictureTextStyle, alignment: PictureTextAlignment = .left,
    direction: PictureTextDirection = .right
  ) {
    let share: Float =
      switch alignment {
      case .left: 0
      case .center: 0.5
      case .right: 1
      }
    let start = -style.width(of: text) * share
    // Half a pen inwards, so that the ink begins at the anchor.
    let inset = style.weight * style.pitch / 2
    var cursor = start + inset
    for character in text {
      let glyph = PictureFont.glyph(of: character)
      let strokes = glyph.strokes.map { stroke in
        (stroke.start * style.pitch + [cursor, inset], stroke.end * style.pitch + [cursor, inset])
      }
      write(strokes: strokes, x: x, y: y, style: style, direction: direction)
      cursor += glyph.advance * style.pitch
    }
  }

  /// Draws the strokes of one glyph; where they overlap, ink is laid on once.
  private mutating func write(
    strokes: [(SIMD2<Float>, SIMD2<Float>)], x: Float, y: Float, style: PictureTextStyle,
    direction: PictureTextDirection
  ) {
    let placed = strokes.map { start, end in
      direction == .right
        ? (start + [x, y], end + [x, y]) : (SIMD2(x + start.y, y - start.x), SIMD2(x + end.y, y - end.x))
    }
    guard let first = placed.first else { return }
    let reach = style.weight * style.pitch / 2 + 0.5
    let low = placed.reduce(first.0) { pointwiseMin($0, pointwiseMin($1.0, $1.1)) } - reach
    let high = placed.reduce(first.0) { pointwiseMax($0, pointwiseMax($1.0, $1.1)) } + reach
    for row in Int(low.y.rounded(.down))...Int(high.y.rounded(.up)) {
      for column in Int(low.x.rounded(.down))...Int(high.x.rounded(.up)) {
        let point = SIMD2(Float(column) + 0.5, Float(row) + 0.5)
        let nearest = placed.reduce(Float.infinity) { min($0, distance(from: point, to: $1.0, $1.1)) }
        blend(style.color, x: column, y: row, opacity: min(reach - nearest, 1))
      }
    }
  }
}
