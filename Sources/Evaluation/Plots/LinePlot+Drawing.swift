extension LinePlot {
  /// The vertical axis of a panel, fitted to what its curves show.
  func verticalAxis(of panel: Panel) -> PlotAxis {
    let values = panel.series.flatMap(\.points).filter { isShown($0, scale: panel.scale) }.map(\.y)
    return PlotAxis(showing: values, scale: panel.scale, padding: 0.06)
  }

  private func isShown(_ point: SIMD2<Double>, scale: PlotScale) -> Bool {
    point.x.isFinite && point.y.isFinite && (scale == .linear || point.y > 0)
      && (horizontalScale == .linear || point.x > 0)
  }

  /// Draws one panel into its part of the sheet.
  func draw(_ panel: Panel, in area: PictureRectangle, leftMargin: Int, on canvas: inout PictureCanvas) {
    let shown = panel.series.map { series in
      Series(series.name, points: series.points.filter { isShown($0, scale: panel.scale) })
    }
    let frame = PlotFrame(
      area: area,
      // All panels share their horizontal range, so that one can read down a column.
      horizontal: PlotAxis(
        showing: panels.flatMap { $0.series.flatMap { $0.points.map(\.x) } }, scale: horizontalScale,
        padding: panels.contains(where: \.showsPoints) ? 0.02 : 0),
      vertical: verticalAxis(of: panel), leftMargin: leftMargin, hasHorizontalLabel: !horizontalLabel.isEmpty)
    frame.draw(
      on: &canvas, title: panel.title, horizontalLabel: horizontalLabel, verticalLabel: panel.verticalLabel)
    guard shown.contains(where: { !$0.points.isEmpty }) else {
      let (x, y) = (frame.inner.x + frame.inner.width / 2, frame.inner.y + frame.inner.height / 2)
      canvas.write("no values", x: Float(x), y: Float(y), style: .small, alignment: .center)
      return
    }
    var occupied = [SIMD2<Float>]()
    for (index, series) in panel.series.enumerated() {
      occupied += draw(series, color: .series(index), panel: panel, frame: frame, on: &canvas)
    }
    for marker in markers { draw(marker, frame: frame, on: &canvas) }
    drawLegend(of: shown, frame: frame, avoiding: occupied, on: &canvas)
  }

  /// Draws one curve and returns the pixels it runs through.
  private func draw(
    _ series: Series, color: PictureColor, panel: Panel, frame: PlotFrame, on canvas: inout PictureCanvas
  ) -> [SIMD2<Float>] {
    // A gap ends one piece and begins the next.
    let pieces = series.points.split(whereSeparator: { !isShown($0, scale: panel.scale) }).map(Array.init)
    let window = Int((smoothing * Double(series.points.count)).rounded())
    var places = [SIMD2<Float>]()
    for piece in pieces {
      let raw = piece.compactMap { frame.point($0.x, $0.y) }
      let isSmoothed = window > 1
      let smooth = isSmoothed ? smoothed(piece, window: window).compactMap { frame.point($0.x, $0.y) } : raw
      if isSmoothed {
        canvas.strokeLine(through: thinned(raw), thickness: 1.2, color: color, opacity: 0.25, clip: frame.inner)
      }
      canvas.strokeLine(through: thinned(smooth), thickness: 2.2, color: color, clip: frame.inner)
      if panel.showsPoints || raw.count == 1 {
        for point in smooth {
          canvas.strokeLine(through: [point, point], thickness: 7, color: color, clip: frame.inner.grown(by: 4))
        }
      }
      places += thinned(raw)
    }
    return places
  }

  private func draw(_ marker: Marker, frame: PlotFrame, on canvas: inout PictureCanvas) {
    guard let share = frame.horizontal.position(of: marker.x), (0...1).contains(share) else { return }
    let x = frame.inner.x + Int((share * Double(frame.inner.width)).rounded())
    for y in frame.inner.y..<frame.inner.maxY where y % 8 < 5 {
      canvas.blend(.subdued, x: x, y: y, opacity: 0.9)
    }
    // The text stays within the axes: on the left of the line where the right is too narrow.
    let width = PictureTextStyle.small.width(of: marker.label)
    let fitsRight = Float(frame.inner.maxX - x) > width + 8
    canvas.write(
      marker.label, x: Float(fitsRight ? x + 5 : x - 5), y: Float(frame.inner.y + 4), style: .small,
      alignment: fitsRight ? .left : .right)
  }

  /// Draws the legend into the corner where it hides least of the curves.
  private func drawLegend(
    of series: [Series], frame: PlotFrame, avoiding occupied: [SIMD2<Float>], on canvas: inout PictureCanvas
  ) {
    let named = series.enumerated().filter { !$0.element.name.isEmpty && !$0.element.points.isEmpty }
    guard named.count > 1 else { return }
    let lineHeight = 20
    let width = 44 + Int(named.map { PictureTextStyle.label.width(of: $0.element.name) }.max() ?? 0)
    let height = named.count * lineHeight + 8
    let inner = frame.inner
    let (left, right) = (inner.x + 8, inner.maxX - width - 6)
    let (top, bottom) = (inner.y + (markers.isEmpty ? 6 : 20), inner.maxY - height - 8)
    let corners = [(right, top), (left, top), (right, bottom), (left, bottom)].map {
      PictureRectangle(x: $0.0, y: $0.1, width: width, height: height)
    }
    let hidden = corners.map { corner in
      occupied.count {
        $0.x >= Float(corner.x) && $0.x <= Float(corner.maxX) && $0.y >= Float(corner.y) && $0.y <= Float(corner.maxY)
      }
    }
    let best = hidden.indices.min { hidden[$0] < hidden[$1] } ?? 0
    let box = corners[best]
    canvas.fill(box, with: .white, opacity: 0.85)
    canvas.frame(box, with: .hairline)
    for (line, (index, element)) in named.enumerated() {
      let y = Float(box.y + 4 + line * lineHeight) + Float(lineHeight) / 2
      canvas.strokeLine(
        through: [[Float(box.x + 8), y], [Float(box.x + 28), y]], thickness: 2.4, color: .series(index), clip: box)
      let textTop = y - PictureTextStyle.label.capHeight / 2
      canvas.write(element.name, x: Float(box.x + 36), y: textTop, style: .label)
    }
  }
}

/// Centred means over `window` points.
///
/// Near the ends the window shrinks on both sides, so that a falling curve is not pulled down at its start, but not
/// below a third of it, or its last points would show all the noise again.
package func smoothed(_ points: [SIMD2<Double>], window: Int) -> [SIMD2<Double>] {
  var sums = [0.0]
  for point in points { sums.append((sums.last ?? 0) + point.y) }
  return points.indices.map { index in
    let reach = max(min(window / 2, index, points.count - 1 - index), window / 6)
    let (first, end) = (max(index - reach, 0), min(index + reach + 1, points.count))
    return SIMD2(points[index].x, (sums[end] - sums[first]) / Double(end - first))
  }
}

/// A line with the same picture but at most four points per column of pixels: first, lowest, highest, last.
package func thinned(_ points: [SIMD2<Float>]) -> [SIMD2<Float>] {
  var result = [SIMD2<Float>]()
  var start = 0
  while start < points.count {
    let column = points[start].x.rounded(.down)
    var end = start
    var (lowest, highest) = (start, start)
    while end < points.count, points[end].x.rounded(.down) == column {
      if points[end].y < points[lowest].y { lowest = end }
      if points[end].y > points[highest].y { highest = end }
      end += 1
    }
    for index in Set([start, lowest, highest, end - 1]).sorted() { result.append(points[index]) }
    start = end
  }
  return result
}

extension PictureRectangle {
  fileprivate func grown(by margin: Int) -> PictureRectangle {
    PictureRectangle(x: x - margin, y: y - margin, width: width + 2 * margin, height: height + 2 * margin)
  }
}
