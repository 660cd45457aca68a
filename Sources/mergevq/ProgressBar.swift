import Foundation
import Training

/// Work of a known size: `[██████····] 61 %  39/64 images  45 s left`, on one line of a terminal, or every tenth on a line
/// of its own in a log.
struct ProgressBar {
  private static let width = 30
  private let start = ContinuousClock.now
  private let line = Console.progressLine()
  private var isOpen = false
  private var reportedTenth = -1

  /// The bytes that show the progress.
  /// - Parameters:
  ///   - share: What is done, from 0 to 1.
  ///   - detail: More about it.
  mutating func report(share: Double, _ detail: String) -> String {
    let text = "\(Self.bar(share)) \(Int(100 * share)) %  \(detail)\(timeLeft(share))"
    if line.isTerminal {
      isOpen = true
      return "\r" + text.prefix(max(1, line.columnCount - 1)) + "\u{1B}[K"
    }
    let tenth = Int(10 * share)
    guard tenth > reportedTenth else { return "" }
    reportedTenth = tenth
    return text + "\n"
  }

  /// The bytes that end the line, if one is open.
  mutating func finish() -> String {
    defer { isOpen = false }
    return isOpen ? "\n" : ""
  }

  private static func bar(_ share: Double) -> String {
    let full = Int((Double(width) * min(1, max(0, share))).rounded(.down))
    return "[" + String(repeating: "█", count: full) + String(repeating: "·", count: width - full) + "]"
  }

  private func timeLeft(_ share: Double) -> String {
    guard share > 0, share < 1 else { return "" }
    let elapsed = ContinuousClock.now - start
    return "  \(coarseText(elapsed * ((1 - share) / share))) left"
  }
}

/// Work in phases, each with a bar of its own.
struct PhasedProgressBar {
  private(set) var bar = ProgressBar()
  private var phase: String?

  /// The bytes that show the progress of a phase.
  mutating func report(_ name: String, done: Int, of count: Int) -> String {
    var text = ""
    if name != phase {
      text = bar.finish()
      (bar, phase) = (ProgressBar(), name)
    }
    return text + bar.report(share: Double(done) / Double(max(count, 1)), name)
  }
}
