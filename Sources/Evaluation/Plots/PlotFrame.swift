/// The frame of a chart: title, axes with ticks and numbers, grid lines, and the way from data to pixels.
struct PlotFrame {
  /// Everything that belongs to the chart.
  let area: PictureRectangle
  /// Inside of the axes.
  let inner: PictureRectangle
  let horizontal: PlotAxis
  let vertical: PlotAxis

  /// - Parameters:
  ///   - leftMargin: Room for the numbers on the left, at least `leftMargin(for:hasLabel:)` of the vertical axis.
  init(
    area: PictureRectangle, horizontal: PlotAxis, vertical: PlotAxis, leftMargin: Int, hasHorizontalLabel: Bool
  ) {
    self.area = area
    self.horizontal = horizontal
    self.vertical = vertical
    let bottom = 28 + (hasHorizontalLabel ? 22 : 0)
    inner = PictureRectangle(
      x: area.x + leftMargin, y: area.y + 34, width: max(area.width - leftMargin - 14, 16),
      height: max(area.height - 34 - bottom, 16))
  }

  /// Room for the numbers of a vertical axis and the text beside it, in pixels.
  static func leftMargin(for vertical: PlotAxis, hasLabel: Bool) -> Int {
    let numbers = vertical.ticks.map { PictureTextStyle.label.width(of: $0.label) }.max() ?? 0
    return Int(numbers) + 16 + (hasLabel ? 24 : 0)
  }

  /// The pixel of a data point; nil where it cannot be shown.
  func point(_ x: Double, _ y: Double) -> SIMD2<Float>? {
    guard let across = horizontal.position(of: x), let up = vertical.position(of: y) else { return nil }
    return [Float(inner.x) + Float(across) * Float(inner.width), Float(inner.maxY) - Float(up) * Float(inner.height)]
  }

  /// Draws everything but the data.
  func draw(on canvas: inout PictureCanvas, title: String, horizontalLabel: String, verticalLabel: String) {
    for tick in vertical.ticks {
      guard let share = vertical.position(of: tick.value) else { continue }
      let y = inner.maxY - Int((share * Double(inner.height)).rounded())
      canvas.fill(PictureRectangle(x: inner.x, y: y, width: inner.width, height: 1), with: .hairline)
      canvas.fill(PictureRectangle(x: inner.x - 4, y: y, width: 4, height: 1), with: .subdued)
      let top = Float(y) - PictureTextStyle.label.capHeight / 2 + 0.5
      canvas.write(tick.label, x: Float(inner.x - 8), y: top, style: .label, alignment: .right)
    }
    for tick in horizontal.ticks {
      guard let share = horizontal.position(of: tick.value) else { continue }
      let x = inner.x + Int((share * Double(inner.width)).rounded())
      canvas.fill(PictureRectangle(x: x, y: inner.y, width: 1, height: inner.height), with: .hairline)
      canvas.fill(PictureRectangle(x: x, y: inner.maxY, width: 1, height: 4), with: .subdued)
      canvas.write(tick.label, x: Float(x), y: Float(inner.maxY + 9), style: .label, alignment: .center)
    }
    canvas.fill(PictureRectangle(x: inner.x, y: inner.y, width: 1, height: inner.height + 1), with: .subdued)
    canvas.fill(PictureRectangle(x: inner.x, y: inner.maxY, width: inner.width, height: 1), with: .subdued)
    let heading = PictureTextStyle.heading.fitted(title, to: area.width - 16)
    canvas.write(heading, x: Float(inner.x), y: Float(area.y + 8), style: .heading)
    let middle = Float(inner.x) + Float(inner.width) / 2
    canvas.write(horizontalLabel, x: middle, y: Float(inner.maxY + 31), style: .small, alignment: .center)
    let half = Float(inner.y) + Float(inner.height) / 2
    let numbers = vertical.ticks.map { PictureTextStyle.label.width(of: $0.label) }.max() ?? 0
    let labelLeft = Float(inner.x) - numbers - 36
    canvas.write(verticalLabel, x: labelLeft, y: half, style: .small, alignment: .center, direction: .up)
  }
}

extension PictureColor {
  /// Colours for the first, second, … curve: of different lightness too, so that they differ in grey.
  static func series(_ index: Int) -> PictureColor {
    let colors: [PictureColor] = [
      PictureColor(red: 0.12, green: 0.38, blue: 0.70), PictureColor(red: 0.88, green: 0.45, blue: 0.08),
      PictureColor(red: 0.10, green: 0.58, blue: 0.44), PictureColor(red: 0.75, green: 0.16, blue: 0.26),
      PictureColor(red: 0.47, green: 0.32, blue: 0.66), PictureColor(red: 0.36, green: 0.65, blue: 0.83),
      PictureColor(red: 0.55, green: 0.42, blue: 0.12), PictureColor(red: 0.45, green: 0.47, blue: 0.50),
    ]
    return colors[index % colors.count]
  }
}
