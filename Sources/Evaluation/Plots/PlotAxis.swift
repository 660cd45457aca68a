import Foundation

/// How numbers are laid along an axis.
public enum PlotScale: Sendable {
  /// Equal distances are equal differences.
  case linear
  /// Equal distances are equal ratios; values that are not positive are left out.
  case logarithmic
}

/// One axis: the range it shows, where a value lies on it, and its ticks.
package struct PlotAxis {
  /// A labelled place on the axis.
  package struct Tick: Equatable {
    package let value: Double
    package let label: String
  }

  package let scale: PlotScale
  /// The range shown, in the data's units.
  package let range: ClosedRange<Double>
  package let ticks: [Tick]

  /// An axis of known range and ticks.
  init(scale: PlotScale, range: ClosedRange<Double>, ticks: [Tick]) {
    self.scale = scale
    self.range = range
    self.ticks = ticks
  }

  /// Fits an axis to what is to be shown.
  /// - Parameters:
  ///   - values: What must fit on the axis; without any usable value the axis runs from 0 to 1.
  ///   - padding: Room left at both ends, as a share of the range.
  ///   - includesZero: Makes a linear axis begin at 0 where no value lies below.
  package init(showing values: [Double], scale: PlotScale, padding: Double, includesZero: Bool = false) {
    let usable = values.filter { $0.isFinite && (scale == .linear || $0 > 0) }
    var low = usable.min() ?? (scale == .linear ? 0 : 0.1)
    var high = usable.max() ?? 1
    if includesZero, scale == .linear { (low, high) = (min(low, 0), max(high, 0)) }
    switch scale {
    case .linear:
      if high - low <= abs(high) * 1e-9 {
        (low, high) = (low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5))
      }
      let room = (high - low) * padding
      // Zero stays the end of the axis where nothing lies beyond.
      range = (includesZero && low == 0 ? 0 : low - room)...(high + room)
      ticks = PlotAxis.linearTicks(in: range)
    case .logarithmic:
      if high / low < 1.5 { (low, high) = (low / 1.5, high * 1.5) }
      let room = pow(high / low, padding)
      range = (low / room)...(high * room)
      ticks = PlotAxis.logarithmicTicks(in: range)
    }
    self.scale = scale
  }

  /// Where a value lies: 0 at the lower end, 1 at the upper; nil where it cannot be shown.
  package func position(of value: Double) -> Double? {
    guard value.isFinite else { return nil }
    switch scale {
    case .linear: return (value - range.lowerBound) / (range.upperBound - range.lowerBound)
    case .logarithmic:
      guard value > 0 else { return nil }
      return log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
    }
  }

  /// Multiples of 1, 2, 2.5 or 5 times a power of ten, about five of them.
  static func linearTicks(in range: ClosedRange<Double>) -> [Tick] {
    let width = range.upperBound - range.lowerBound
    let power = pow(10, (log10(width / 5)).rounded(.down))
    let step = [1, 2, 2.5, 5, 10].map { $0 * power }.first { width / $0 <= 6 } ?? 10 * power
    let first = Int((range.lowerBound / step - 1e-9).rounded(.up))
    let last = Int((range.upperBound / step + 1e-9).rounded(.down))
    guard first <= last else { return [] }
    let numbers = PlotNumbers(for: (first...last).map { Double($0) * step }, resolution: step)
    return (first...last).map { multiple in
      let value = Double(multiple) * step
      return Tick(value: value, label: numbers.label(value))
    }
  }

  /// Powers of ten; with less than two of them in the range also twice and five times these.
  static func logarithmicTicks(in range: ClosedRange<Double>) -> [Tick] {
    let powers = Int(log10(range.lowerBound).rounded(.down))...Int(log10(range.upperBound).rounded(.up))
    let decades = log10(range.upperBound / range.lowerBound)
    let factors: [Double] = decades < 0.9 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 2.2 ? [1, 2, 5] : [1]
    // Over many decades, only every second or third power gets a number.
    let every = max(1, Int((decades / 7).rounded(.up)))
    let values = powers.filter { $0.isMultiple(of: every) }.flatMap { power in
      factors.map { $0 * pow(10, Double(power)) }
    }.filter(range.contains)
    let smallest = values.min() ?? 1
    let style: PlotNumbers.Style = smallest < 1e-3 || (values.max() ?? 1) >= 1e9 ? .scientific : .plain
    return values.map { value in
      Tick(value: value, label: PlotNumbers(style: style, resolution: value).label(value))
    }
  }
}

/// How the numbers of one axis are written: all alike.
struct PlotNumbers {
  enum Style {
    /// `1250`, `0.05`
    case plain
    /// `12.5k`
    case thousands
    /// `1.2M`
    case millions
    /// `3e-6`
    case scientific
  }

  let style: Style
  /// The difference that must be visible, in the data's units.
  let resolution: Double

  init(style: Style, resolution: Double) {
    self.style = style
    self.resolution = resolution
  }

  /// Chooses the style from the largest of the numbers.
  init(for values: [Double], resolution: Double) {
    let largest = values.map(abs).max() ?? 0
    style =
      switch largest {
      case ..<1e-3: .scientific
      case ..<1e4: .plain
      case ..<1e6: .thousands
      case ..<1e9: .millions
      default: .scientific
      }
    self.resolution = resolution
  }

  func label(_ value: Double) -> String {
    if abs(value) < resolution * 1e-6 { return "0" }
    switch style {
    case .plain:
      return value >= 1e4 ? PlotNumbers(style: .thousands, resolution: resolution).label(value) : fixed(value)
    case .thousands: return fixed(value, unit: 1e3) + "k"
    case .millions: return fixed(value, unit: 1e6) + "M"
    case .scientific:
      let power = Int((log10(abs(value)) + 1e-9).rounded(.down))
      return fixed(value, unit: pow(10, Double(power))) + "e\(power)"
    }
  }

  /// Just as many digits after the point as show the resolution exactly, or three significant ones of it.
  private func fixed(_ value: Double, unit: Double = 1) -> String {
    let step = resolution / unit
    let digits = (0...12).first { digits in
      let scaled = step * pow(10, Double(digits))
      return scaled >= 0.999 && (abs(scaled - scaled.rounded()) < 1e-6 * scaled || scaled >= 100)
    }
    return String(format: "%.\(digits ?? 12)f", value / unit)
  }
}
