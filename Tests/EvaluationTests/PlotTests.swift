import DataLoading
import Evaluation
import Foundation
import Testing

@Suite("Axes of plots")
struct PlotAxisTests {
  static let ranges: [ClosedRange<Double>] = [
    0...1, 0...1200, -3.2...0.4, 17.1...23.9, 0.0001...0.0009, 0...1_000_000, 4.000...4.003, -2e9...5e9, 0...64,
  ]

  @Test("Ticks of a linear axis are few, equally spaced, inside, and named by different numbers", arguments: ranges)
  func linearTicks(range: ClosedRange<Double>) {
    let axis = PlotAxis(showing: [range.lowerBound, range.upperBound], scale: .linear, padding: 0)
    let values = axis.ticks.map(\.value)
    #expect((3...8).contains(values.count), "\(axis.ticks)")
    #expect(values.allSatisfy { axis.range.contains($0) || abs($0) < 1e-12 })
    let gaps = zip(values, values.dropFirst()).map { $1 - $0 }
    #expect(gaps.allSatisfy { abs($0 - gaps[0]) < 1e-6 * abs(gaps[0]) })
    #expect(Set(axis.ticks.map(\.label)).count == values.count, "\(axis.ticks)")
    for tick in axis.ticks { #expect(abs(number(tick.label) - tick.value) < 1e-6 * abs(gaps[0]), "\(tick)") }
  }

  @Test(
    "Ticks of a logarithmic axis are inside and named by different numbers",
    arguments: [1e-5...1e-2, 0.05...0.5, 1...4096, 0.2...0.9, 1e-12...1e6])
  func logarithmicTicks(range: ClosedRange<Double>) {
    let axis = PlotAxis(showing: [range.lowerBound, range.upperBound], scale: .logarithmic, padding: 0)
    #expect((2...9).contains(axis.ticks.count), "\(axis.ticks)")
    #expect(Set(axis.ticks.map(\.label)).count == axis.ticks.count, "\(axis.ticks)")
    for tick in axis.ticks {
      #expect(axis.range.contains(tick.value))
      #expect(abs(number(tick.label) / tick.value - 1) < 1e-6, "\(tick)")
    }
  }

  @Test("Values lie between the ends in their order, equal ratios equally far apart on a logarithmic axis")
  func positions() throws {
    let linear = PlotAxis(showing: [2, 6], scale: .linear, padding: 0)
    #expect(linear.position(of: 2) == 0 && linear.position(of: 6) == 1 && linear.position(of: 3) == 0.25)
    let logarithmic = PlotAxis(showing: [1, 100], scale: .logarithmic, padding: 0)
    #expect(abs(try #require(logarithmic.position(of: 10)) - 0.5) < 1e-12)
    #expect(logarithmic.position(of: 0) == nil && logarithmic.position(of: -1) == nil)
    #expect(linear.position(of: .nan) == nil)
  }

  @Test(
    "An axis exists even where there is little to show",
    arguments: [[], [.nan, .infinity], [0], [7], [-7, -7], [0, 0], [1e300, -1e300]] as [[Double]])
  func degenerateAxes(values: [Double]) {
    for scale in [PlotScale.linear, .logarithmic] {
      let axis = PlotAxis(showing: values, scale: scale, padding: 0.05)
      #expect(axis.range.lowerBound < axis.range.upperBound)
      #expect(!axis.ticks.isEmpty)
    }
  }

  /// The number a label stands for.
  private func number(_ label: String) -> Double {
    let units: [Character: Double] = ["k": 1e3, "M": 1e6]
    guard let unit = label.last.flatMap({ units[$0] }) else { return Double(label) ?? .nan }
    return (Double(label.dropLast()) ?? .nan) * unit
  }
}

@Suite("Line plots")
struct LinePlotTests {
  @Test("A flat curve is drawn across the whole panel in one row of pixels")
  func flatCurve() {
    let columns = curveColumns([0, 1, 2, 3, 4].map { SIMD2($0, 5) })
    #expect(columns.count > 400)
    #expect(columns.upperBound - columns.lowerBound == columns.count)
  }

  @Test("A value that is not a number leaves a gap and does not pull the curve", arguments: [Double.nan, .infinity])
  func gaps(missing: Double) {
    let points = (0..<11).map { SIMD2(Double($0), $0 == 5 ? missing : 1) }
    let image = LinePlot(panels: [.init(title: "", series: [.init("", points: points)])]).image()
    let filled = blueColumns(image)
    let whole = blueColumns(
      LinePlot(panels: [.init(title: "", series: [.init("", points: points.map { SIMD2($0.x, 1) })])]).image())
    let lost = whole.subtracting(filled)
    #expect(Double(lost.count) / Double(whole.count) > 0.17 && Double(lost.count) / Double(whole.count) < 0.22)
  }

  @Test("Panels without values, single points and unpositive values on a logarithmic scale are drawn without trouble")
  func oddPanels() {
    let panels: [LinePlot.Panel] = [
      .init(title: "nothing", series: []), .init(title: "no points", series: [.init("a", points: [])]),
      .init(title: "one point", series: [.init("a", points: [[3, 4]])]),
      .init(title: "below zero", series: [.init("a", points: [[0, -1], [1, 0]])], scale: .logarithmic),
      .init(title: "ünprintable \u{1F600}", series: [.init("a", points: [[0, 1e300], [1, -1e300]])]),
    ]
    let image = LinePlot(
      title: "odd", panels: panels, markers: [.init(x: 99, label: "outside"), .init(x: 1, label: "end")], smoothing: 0.5
    ).image()
    #expect(image.width > 1000 && image.height > 700)
    #expect(LinePlot(panels: []).image().width > 0)
  }

  @Test("Smoothing keeps constants and straight lines, and lessens noise")
  func smoothing() {
    let straight = (0..<100).map { SIMD2(Double($0), 3 * Double($0) + 1) }
    let smooth = smoothed(straight, window: 11)
    for index in 5..<95 { #expect(abs(smooth[index].y - straight[index].y) < 1e-9) }
    let noisy = (0..<100).map { SIMD2(Double($0), $0.isMultiple(of: 2) ? 1.0 : -1) }
    #expect(smoothed(noisy, window: 12).allSatisfy { abs($0.y) <= 0.34 })
    #expect(smooth.map(\.x) == straight.map(\.x))
  }

  @Test("Thinning keeps the peaks of every column of pixels, in order, with at most four points each")
  func thinning() {
    var points = [SIMD2<Float>]()
    for index in 0..<5000 {
      let height = index * 7919 % 1000 == 0 ? -50 : index * 31 % 97
      points.append([Float(index) / 100, Float(height)])
    }
    let thin = thinned(points)
    #expect(thin.count <= 4 * 50)
    #expect(zip(thin, thin.dropFirst()).allSatisfy { $0.x <= $1.x })
    for column in 0..<50 {
      let all = points.filter { Int($0.x) == column }.map(\.y)
      let kept = thin.filter { Int($0.x) == column }.map(\.y)
      #expect(all.min() == kept.min() && all.max() == kept.max())
    }
  }

  private func curveColumns(_ points: [SIMD2<Double>]) -> Range<Int> {
    let columns = blueColumns(LinePlot(panels: [.init(title: "", series: [.init("", points: points)])]).image())
    return (columns.min() ?? 0)..<((columns.max() ?? 0) + 1)
  }
}

@Suite("Bar plots")
struct BarPlotTests {
  @Test("Bars cover areas in proportion to their values")
  func proportions() {
    let image = BarPlot(title: "", values: [4, 1]).image()
    let columns = blueColumns(image).sorted()
    let middle = (columns[0] + columns[columns.count - 1]) / 2
    let heights = [middle - 80, middle + 80].map { x in
      (0..<image.height).count { isBlue(image, x, $0) }
    }
    #expect(abs(Double(heights[0]) / Double(heights[1]) - 4) < 0.1, "\(heights)")
  }

  @Test("Code usage states codes used and perplexity")
  func codeUsage() {
    #expect(
      BarPlot.codeUsage(counts: Array(repeating: 3, count: 8)).subtitle == "8 of 8 codes used (100.0%), perplexity 8")
    let skewed = BarPlot.codeUsage(counts: [0, 10, 0, 10])
    #expect(skewed.subtitle == "2 of 4 codes used (50.0%), perplexity 2")
    #expect(skewed.values == [0.5, 0.5, 0, 0])
    #expect(BarPlot.codeUsage(counts: []).image().width > 0)
    #expect(BarPlot.codeUsage(counts: [0, 0]).image().width > 0)
  }
}

/// Whether a pixel shows the colour of the first series.
private func isBlue(_ image: PixelImage, _ x: Int, _ y: Int) -> Bool {
  let start = (y * image.width + x) * 3
  return Int(image.pixels[start + 2]) - Int(image.pixels[start]) > 60
}

private func blueColumns(_ image: PixelImage) -> Set<Int> {
  var columns = Set<Int>()
  for y in 0..<image.height {
    for x in 0..<image.width where isBlue(image, x, y) { columns.insert(x) }
  }
  return columns
}
