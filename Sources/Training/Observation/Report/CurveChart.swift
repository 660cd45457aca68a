import Evaluation
import Foundation

/// A panel of curves as inline SVG that takes its colours from the page's style sheet.
struct CurveChart {
  private static let (width, height) = (480.0, 220.0)
  private static let (left, right, top, bottom) = (56.0, 10.0, 8.0, 24.0)

  let panel: LinePlot.Panel
  /// The steps that all charts of a page show.
  let steps: ClosedRange<Double>
  /// Steps at which the run was resumed.
  let markers: [Double]

  /// The `<figure>` with title, legend and curves; every curve's last value stands in the legend.
  var html: String {
    let legend = panel.series.enumerated().map { index, series in
      let last = series.points.last { $0.y.isFinite }.map { Self.text($0.y) } ?? "–"
      return "<span class=\"key c\(index)\">\(escaped(series.name)) \(last)</span>"
    }
    return "<figure><figcaption>\(escaped(panel.title))<span>\(legend.joined(separator: " "))</span></figcaption>\(svg)"
      + "</figure>\n"
  }

  private var svg: String {
    let vertical = PlotAxis(showing: panel.series.flatMap { $0.points.map(\.y) }, scale: panel.scale, padding: 0.04)
    let horizontal = PlotAxis(showing: [steps.lowerBound, steps.upperBound], scale: .linear, padding: 0)
    func x(_ value: Double) -> Double {
      Self.left + (horizontal.position(of: value) ?? 0) * (Self.width - Self.left - Self.right)
    }
    func y(_ value: Double) -> Double? {
      vertical.position(of: value).map { Self.height - Self.bottom - $0 * (Self.height - Self.top - Self.bottom) }
    }
    var parts: [String] = []
    for tick in vertical.ticks {
      guard let y = y(tick.value) else { continue }
      parts.append(
        "<path class=\"grid\" d=\"M\(n(Self.left)) \(n(y))H\(n(Self.width - Self.right))\"/>"
          + "<text x=\"\(n(Self.left - 6))\" y=\"\(n(y + 4))\" text-anchor=\"end\">\(escaped(tick.label))</text>")
    }
    for tick in horizontal.ticks {
      let place = "x=\"\(n(x(tick.value)))\" y=\"\(n(Self.height - 6))\""
      parts.append("<text \(place) text-anchor=\"middle\">\(escaped(tick.label))</text>")
    }
    for marker in markers {
      parts.append(
        "<path class=\"marker\" d=\"M\(n(x(marker))) \(n(Self.top))V\(n(Self.height - Self.bottom))\">"
          + "<title>resumed after step \(Int(marker))</title></path>")
    }
    for (index, series) in panel.series.enumerated() {
      // A value that cannot be shown leaves a gap.
      var path = ""
      var isDrawing = false
      var shown: [SIMD2<Double>] = []
      for point in Self.thinned(series.points) {
        guard let y = y(point.y) else {
          isDrawing = false
          continue
        }
        path += "\(isDrawing ? "L" : "M")\(n(x(point.x))) \(n(y))"
        shown.append(SIMD2(x(point.x), y))
        isDrawing = true
      }
      parts.append("<path class=\"curve c\(index)\" d=\"\(path)\"/>")
      if shown.count < 20 {
        parts += shown.map { "<circle class=\"c\(index)\" cx=\"\(n($0.x))\" cy=\"\(n($0.y))\" r=\"2.5\"/>" }
      }
    }
    return "<svg viewBox=\"0 0 \(n(Self.width)) \(n(Self.height))\" role=\"img\">\(parts.joined())</svg>"
  }

  /// At most about a thousand points: of every stretch, its smallest and its largest value in their order, so that no
  /// peak is lost.
  static func thinned(_ points: [SIMD2<Double>], to limit: Int = 1000) -> [SIMD2<Double>] {
    guard points.count > limit else { return points }
    let stretch = (2 * points.count + limit - 1) / limit
    return stride(from: 0, to: points.count, by: stretch).flatMap { start -> [SIMD2<Double>] in
      let part = points[start..<min(points.count, start + stretch)]
      guard let low = part.min(by: { $0.y < $1.y }), let high = part.max(by: { $0.y < $1.y }) else { return [] }
      return low.x == high.x ? [low] : low.x < high.x ? [low, high] : [high, low]
    }
  }

  private func n(_ value: Double) -> String { String(format: "%.1f", value) }

  private static func text(_ value: Double) -> String { String(format: "%.4g", value) }
}

/// `text` between tags or in a quoted attribute of HTML.
func escaped(_ text: String) -> String {
  text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    .replacing("\"", with: "&quot;")
}
