public import DataLoading
import Foundation
public import Tokenizer

/// How a codebook is used: every code's share of the tokens, most frequent first, and the balance of every bit.
public struct CodebookPicture: Sendable {
  private let usage: BarPlot
  private let bits: BarPlot

  /// Describes the picture; `image()` draws it.
  public init(usage: CodebookUsage, title: String) {
    var plot = BarPlot.codeUsage(counts: usage.counts.map { Int($0) })
    plot.title = title
    plot.subtitle += ", \(usage.deadCount) dead, \(usage.total) tokens"
    self.usage = plot
    let shares = usage.bitShares
    let worst = shares.enumerated().max { abs($0.element - 0.5) < abs($1.element - 0.5) }
    bits = BarPlot(
      title: "Bits",
      subtitle: worst.map {
        String(format: "bit %d is furthest from balance: set in %.1f%%", $0.offset, 100 * $0.element)
      }
        ?? "",
      values: shares, labels: shares.indices.map(String.init), horizontalLabel: "bit of the code",
      verticalLabel: "share of tokens with it set", reference: (0.5, "balanced"), size: (720, 300))
  }

  /// Draws both plots, one below the other.
  public func image() -> PixelImage {
    let (upper, lower) = (usage.image(), bits.image())
    var canvas = PictureCanvas(width: max(upper.width, lower.width), height: upper.height + lower.height)
    canvas.draw(upper, x: 0, y: 0)
    canvas.draw(lower, x: 0, y: upper.height)
    return canvas.image
  }
}
