import Evaluation
import Foundation
import Tokenizer

/// How a file of codes uses its codebook.
public struct CodebookSummary {
  private let usage: CodebookUsage
  private let title: String

  /// Counts the codes.
  public init(_ codes: TokenizerCodes) {
    var usage = CodebookUsage(codeBits: codes.codeBits)
    usage.add(codes.codes)
    self.usage = usage
    title = "\(codes.tokenizer.title): codes of \(codes.imageCount) images"
  }

  /// Draws the picture.
  /// - Returns: The figures, for people.
  /// - Throws: `DataError` if the picture cannot be written.
  public func write(to output: NewOutput) throws -> String {
    try CodebookPicture(usage: usage, title: title).image().writePNG(to: output.path)
    let bits = usage.bitShares.enumerated().map { "\($0.offset): \(String(format: "%.1f %%", 100 * $0.element))" }
    return """
      codes counted  \(usage.total)
      codes used     \(usage.usedCount) of \(usage.counts.count) (\(String(format: "%.2f %%", 100 * usage.usedShare)))
      dead codes     \(usage.deadCount)
      perplexity     \(String(format: "%.1f", usage.perplexity))
      bits set       \(bits.joined(separator: ", "))

      """
  }
}
