import Foundation

/// What a progress line tells.
public struct Progress: Sendable {
  /// Optimizer steps done.
  public var step: Int
  /// Optimizer steps of the whole run.
  public var totalSteps: Int
  /// Loss terms and other values in the order they are shown.
  public var terms: [(name: String, value: Double)]
  /// Images per second of all ranks together.
  public var imagesPerSecond: Double?
  /// Share of the codebook in use, from 0 to 1.
  public var codeUsage: Double?
  /// Time to the end of the run.
  public var timeLeft: Duration?

  /// Creates a report.
  public init(
    step: Int, totalSteps: Int, terms: [(name: String, value: Double)], imagesPerSecond: Double? = nil,
    codeUsage: Double? = nil, timeLeft: Duration? = nil
  ) {
    self.step = step
    self.totalSteps = totalSteps
    self.terms = terms
    self.imagesPerSecond = imagesPerSecond
    self.codeUsage = codeUsage
    self.timeLeft = timeLeft
  }

  /// `step  120/3000 | loss 0.4312 | l1 0.3120 | 41.5 images/s | codes 83.1 % | 12 min 05 s left`.
  public var text: String {
    let total = String(totalSteps)
    var parts = ["step \(String(repeating: " ", count: max(0, total.count - String(step).count)))\(step)/\(total)"]
    parts += terms.map { "\($0.name) \(fourDigits($0.value))" }
    if let imagesPerSecond { parts.append("\(fixed(imagesPerSecond, imagesPerSecond < 100 ? 1 : 0)) images/s") }
    if let codeUsage { parts.append("codes \(fixed(100 * codeUsage, 1)) %") }
    if let timeLeft { parts.append("\(coarseText(timeLeft)) left") }
    return parts.joined(separator: " | ")
  }
}

/// Turns progress into what is written to a terminal or to a log file.
///
/// On a terminal the reports overwrite one line; in a log file each has a line of its own.
public struct ProgressLine: Sendable {
  /// Whether the output is a terminal.
  public let isTerminal: Bool
  /// Width of the terminal in characters; longer reports are cut, since a wrapped line cannot be overwritten.
  public let columnCount: Int
  private var isOpen = false

  /// Creates a line on an output.
  public init(isTerminal: Bool, columnCount: Int = 80) {
    self.isTerminal = isTerminal
    self.columnCount = columnCount
  }

  /// The bytes that show `progress`.
  public mutating func report(_ progress: Progress) -> String { report(progress.text) }

  /// The bytes that show how far something is.
  public mutating func report(_ text: String) -> String {
    guard isTerminal else { return text + "\n" }
    isOpen = true
    return "\r" + text.prefix(max(1, columnCount - 1)) + "\u{1B}[K"
  }

  /// The bytes that show a message of its own lines, between reports.
  public mutating func message(_ text: String) -> String { finish() + text + "\n" }

  /// The bytes that end the line, if one is open.
  public mutating func finish() -> String {
    defer { isOpen = false }
    return isOpen ? "\n" : ""
  }
}

/// `4.312`, `0.0431`, `431.2`: four digits that matter, or four decimals below 1;
/// tiny and huge values as `1.234e-07`.
private func fourDigits(_ value: Double) -> String {
  let magnitude = abs(value)
  switch magnitude {
  case 0: return "0"
  case 1e-3..<10: return fixed(value, magnitude < 1 ? 4 : 3)
  case 10..<100: return fixed(value, 2)
  case 100..<1e6: return fixed(value, magnitude < 1000 ? 1 : 0)
  default: return value.isFinite ? String(format: "%.3e", value) : "\(value)"
  }
}

private func fixed(_ value: Double, _ digitCount: Int) -> String { String(format: "%.\(digitCount)f", value) }

/// `45 s`, `12 min 05 s`, `3 h 20 min`, `2 d 04 h`.
public func coarseText(_ duration: Duration) -> String {
  let seconds = Int((duration / .seconds(1)).rounded())
  func pair(_ large: Int, _ largeUnit: String, _ small: Int, _ smallUnit: String) -> String {
    "\(large) \(largeUnit) \(small < 10 ? "0" : "")\(small) \(smallUnit)"
  }
  return switch seconds {
  case ..<60: "\(seconds) s"
  case ..<3600: pair(seconds / 60, "min", seconds % 60, "s")
  case ..<86_400: pair(seconds / 3600, "h", seconds / 60 % 60, "min")
  default: pair(seconds / 86_400, "d", seconds / 3600 % 24, "h")
  }
}
