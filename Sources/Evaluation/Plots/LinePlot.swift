import DataLoading

/// Curves over a common horizontal axis, one panel per quantity: loss terms over steps, efficiency over ranks.
public struct LinePlot: Sendable {
  /// One curve.
  public struct Series: Sendable {
    /// Name in the legend.
    public var name: String
    /// Points from left to right; a value that is not finite leaves a gap.
    public var points: [SIMD2<Double>]

    /// A curve through points.
    public init(_ name: String, points: [SIMD2<Double>]) {
      self.name = name
      self.points = points
    }

    /// A curve through `y` at the places `x`.
    /// - Precondition: As many places as values.
    public init(_ name: String, x: [Double], y: [Double]) {
      require(x.count == y.count, "a curve needs as many places as values, found \(x.count) and \(y.count)")
      self.init(name, points: zip(x, y).map { SIMD2($0, $1) })
    }
  }

  /// A chart of its own within the plot.
  public struct Panel: Sendable {
    /// Above the chart.
    public var title: String
    /// Curves, drawn in this order.
    public var series: [Series]
    /// Of the vertical axis.
    public var scale: PlotScale
    /// Beside the vertical axis, for instance a unit; empty for none.
    public var verticalLabel: String
    /// Marks each point with a dot: for curves of few points.
    public var showsPoints: Bool

    /// Describes a panel.
    public init(
      title: String, series: [Series], scale: PlotScale = .linear, verticalLabel: String = "", showsPoints: Bool = false
    ) {
      self.title = title
      self.series = series
      self.scale = scale
      self.verticalLabel = verticalLabel
      self.showsPoints = showsPoints
    }
  }

  /// A vertical line through every panel, for instance where a run was resumed.
  public struct Marker: Sendable {
    /// Place on the horizontal axis.
    public var x: Double
    /// Short text beside the line.
    public var label: String

    /// Marks a place.
    public init(x: Double, label: String) {
      self.x = x
      self.label = label
    }
  }

  /// Above everything; empty for none.
  public var title: String
  /// In reading order.
  public var panels: [Panel]
  /// Below every panel.
  public var horizontalLabel: String
  /// Of the horizontal axis.
  public var horizontalScale: PlotScale
  /// Places marked in every panel.
  public var markers: [Marker]
  /// Width of the averaging window as a share of a curve's points; above 0, the raw curve stays faintly behind.
  public var smoothing: Double
  /// Panels beside each other; nil chooses.
  public var columns: Int?
  /// Size of a panel in pixels, axes included.
  public var panelSize: (width: Int, height: Int)

  /// Describes the plot; `image()` draws it.
  public init(
    title: String = "", panels: [Panel], horizontalLabel: String = "step", horizontalScale: PlotScale = .linear,
    markers: [Marker] = [], smoothing: Double = 0, columns: Int? = nil,
    panelSize: (width: Int, height: Int) = (560, 360)
  ) {
    self.title = title
    self.panels = panels
    self.horizontalLabel = horizontalLabel
    self.horizontalScale = horizontalScale
    self.markers = markers
    self.smoothing = smoothing
    self.columns = columns
    self.panelSize = panelSize
  }

  /// Draws the plot. A panel without any finite value says so.
  public func image() -> PixelImage {
    let margin = 18
    let columns = columns ?? (panels.count <= 2 ? max(panels.count, 1) : panels.count == 4 ? 2 : 3)
    let rows = (panels.count + columns - 1) / columns
    let top = margin + (title.isEmpty ? 0 : 40)
    var canvas = PictureCanvas(
      width: 2 * margin + columns * panelSize.width + (columns - 1) * margin,
      height: top + rows * panelSize.height + max(rows - 1, 0) * margin + margin)
    let heading = PictureTextStyle.title.fitted(title, to: canvas.width - 2 * margin)
    canvas.write(heading, x: Float(margin + 8), y: Float(margin + 4), style: .title)
    // One margin for all panels, so that their axes stand in line.
    let leftMargin = panels.map { PlotFrame.leftMargin(for: verticalAxis(of: $0), hasLabel: !$0.verticalLabel.isEmpty) }
    for (index, panel) in panels.enumerated() {
      let area = PictureRectangle(
        x: margin + index % columns * (panelSize.width + margin),
        y: top + index / columns * (panelSize.height + margin),
        width: panelSize.width, height: panelSize.height)
      draw(panel, in: area, leftMargin: leftMargin.max() ?? 0, on: &canvas)
    }
    return canvas.image
  }
}
