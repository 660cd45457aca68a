import DataLoading
import Foundation

/// A bar per value: a histogram, or how often each code is used.
public struct BarPlot: Sendable {
  /// Above the chart.
  public var title: String
  /// A second, smaller line below the title; empty for none.
  public var subtitle: String
  /// Height of each bar.
  public var values: [Double]
  /// Text below each bar; empty numbers the bars instead.
  public var labels: [String]
  /// Left and right end of the horizontal axis where bars are numbered; nil counts bars from 0.
  public var horizontalRange: ClosedRange<Double>?
  /// Below the chart.
  public var horizontalLabel: String
  /// Beside the chart.
  public var verticalLabel: String
  /// Of the vertical axis; on a logarithmic one, bars of height 0 are left out.
  public var scale: PlotScale
  /// A dashed line across, for instance the mean, with its name.
  public var reference: (value: Double, name: String)?
  /// Size of the picture in pixels.
  public var size: (width: Int, height: Int)

  /// Describes the plot; `image()` draws it.
  public init(
    title: String, subtitle: String = "", values: [Double], labels: [String] = [],
    horizontalRange: ClosedRange<Double>? = nil, horizontalLabel: String = "", verticalLabel: String = "",
    scale: PlotScale = .linear, reference: (value: Double, name: String)? = nil,
    size: (width: Int, height: Int) = (720, 420)
  ) {
    self.title = title
    self.subtitle = subtitle
    self.values = values
    self.labels = labels
    self.horizontalRange = horizontalRange
    self.horizontalLabel = horizontalLabel
    self.verticalLabel = verticalLabel
    self.scale = scale
    self.reference = reference
    self.size = size
  }

  /// How evenly a code book is used: the share of tokens of each code, most frequent first.
  ///
  /// The subtitle gives the codes used at all and the perplexity `exp(-Σ p ln p)`, the number of equally frequent codes
  /// that would carry as much information.
  /// - Parameter counts: Tokens per code, one entry for every code of the book.
  public static func codeUsage(counts: [Int]) -> BarPlot {
    let total = Double(max(counts.reduce(0, +), 1))
    let shares = counts.map { Double($0) / total }.sorted(by: >)
    let used = counts.count { $0 > 0 }
    let entropy = shares.reduce(0) { $1 > 0 ? $0 - $1 * log($1) : $0 }
    let percent = String(format: "%.1f", 100 * Double(used) / Double(max(counts.count, 1)))
    let perplexity = String(format: "%.0f", exp(entropy))
    return BarPlot(
      title: "Code usage", subtitle: "\(used) of \(counts.count) codes used (\(percent)%), perplexity \(perplexity)",
      values: shares, horizontalLabel: "codes, most frequent first", verticalLabel: "share of tokens",
      scale: .logarithmic, reference: counts.isEmpty ? nil : (1 / Double(counts.count), "uniform"))
  }

  /// Draws the plot.
  public func image() -> PixelImage {
    var canvas = PictureCanvas(width: size.width, height: size.height)
    let margin = 14
    let area = PictureRectangle(
      x: margin, y: margin + (subtitle.isEmpty ? 0 : 22), width: size.width - 2 * margin,
      height: size.height - 2 * margin - (subtitle.isEmpty ? 0 : 22))
    let ends = horizontalRange ?? 0...Double(max(values.count, 1))
    let vertical = PlotAxis(
      showing: values + (reference.map { [$0.value] } ?? []), scale: scale, padding: 0.05, includesZero: true)
    let frame = PlotFrame(
      area: area,
      horizontal: PlotAxis(showing: [ends.lowerBound, ends.upperBound], scale: .linear, padding: 0)
        .withoutTicks(!labels.isEmpty),
      vertical: vertical,
      leftMargin: PlotFrame.leftMargin(for: vertical, hasLabel: !verticalLabel.isEmpty),
      hasHorizontalLabel: !horizontalLabel.isEmpty)
    frame.draw(on: &canvas, title: "", horizontalLabel: horizontalLabel, verticalLabel: verticalLabel)
    let limit = size.width - frame.inner.x - margin
    canvas.write(
      PictureTextStyle.heading.fitted(title, to: limit), x: Float(frame.inner.x), y: Float(margin + 4), style: .heading)
    canvas.write(
      PictureTextStyle.small.fitted(subtitle, to: limit), x: Float(frame.inner.x), y: Float(margin + 28), style: .small)
    drawBars(frame: frame, on: &canvas)
    drawReference(frame: frame, on: &canvas)
    return canvas.image
  }

  private func drawBars(frame: PlotFrame, on canvas: inout PictureCanvas) {
    let inner = frame.inner
    let floor = scale == .linear ? frame.vertical.position(of: 0) ?? 0 : 0
    let slot = Double(inner.width) / Double(max(values.count, 1))
    let gap = slot >= 6 ? min(slot * 0.18, 10) : 0
    // A column of pixels that several bars share shows their mean.
    for x in inner.x..<inner.maxX {
      let first = min(Int(Double(x - inner.x) / slot), values.count - 1)
      let last = max(first, min(Int(Double(x + 1 - inner.x) / slot) - 1, values.count - 1))
      guard first >= 0 else { return }
      let offset = Double(x - inner.x) + 0.5 - Double(first) * slot
      if gap > 0, offset < gap / 2 || offset > slot - gap / 2 { continue }
      let value = values[first...last].reduce(0, +) / Double(last - first + 1)
      guard let top = frame.vertical.position(of: value) else { continue }
      let (low, high) = (min(top, floor), max(top, floor))
      let upper = Double(inner.maxY) - high * Double(inner.height)
      let lower = Double(inner.maxY) - low * Double(inner.height)
      for y in max(Int(upper.rounded(.down)), inner.y)..<max(Int(lower.rounded(.up)), inner.y) where y < inner.maxY {
        // The uppermost pixel is covered in part.
        let covered = min(Double(y) + 1, lower) - max(Double(y), upper)
        canvas.blend(.series(0), x: x, y: y, opacity: Float(min(max(covered, 0), 1)) * 0.85)
      }
    }
    for (index, label) in labels.enumerated() where index < values.count {
      let x = Float(inner.x) + Float((Double(index) + 0.5) * slot)
      let text = PictureTextStyle.label.fitted(label, to: Int(slot))
      canvas.write(text, x: x, y: Float(inner.maxY + 9), style: .label, alignment: .center)
    }
  }

  private func drawReference(frame: PlotFrame, on canvas: inout PictureCanvas) {
    guard let reference, let share = frame.vertical.position(of: reference.value), (0...1).contains(share) else {
      return
    }
    let y = frame.inner.maxY - Int((share * Double(frame.inner.height)).rounded())
    for x in frame.inner.x..<frame.inner.maxX where x % 10 < 6 {
      canvas.blend(.series(1), x: x, y: y, opacity: 1)
      canvas.blend(.series(1), x: x, y: y - 1, opacity: 0.5)
    }
    let style = PictureTextStyle(pitch: 1.5, color: .series(1))
    canvas.write(reference.name, x: Float(frame.inner.maxX - 4), y: Float(y - 18), style: style, alignment: .right)
  }
}

extension PlotAxis {
  /// The same axis, its ticks taken away where `condition` holds.
  fileprivate func withoutTicks(_ condition: Bool) -> PlotAxis {
    condition ? PlotAxis(scale: scale, range: range, ticks: []) : self
  }
}
