import ArgumentParser
import Collectives
import Training

/// `mergevq tokenizer reconstruct`.
struct ReconstructCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconstruct", abstract: "Draw images beside what a tokenizer makes of them.",
    discussion: """
      Each row: the image, its reconstruction, and the merged groups in their mean colours. With several keep counts: \
      the image and its reconstruction at each of them, and a table of their PSNR.
      """)

  @Option(help: "A run directory (its newest good checkpoint), one checkpoint of it, or a tokenizer's weight file.")
  var checkpoint: String

  @Option(parsing: .upToNextOption, help: "Image files, or folders of images.")
  var images: [String]

  @Option(help: "The PNG file to write.")
  var output: String

  @Option(help: "How many tokens to keep, e.g. 36 or 16,25,36,64; the recipe's default otherwise.")
  var keep = KeepCounts(counts: [])

  @Option(help: "What expands tokens to positions: the encoder's true groups, or the learned recovery's.")
  var source = SourceChoice.actual

  func run() throws {
    try runCommand { communicator in
      let rows = try communicator.collectively("reconstructing images") {
        guard communicator.isFirst else { return [TokenizerReconstruction.Row]() }
        return try TokenizerReconstruction(
          TrainedTokenizer(path: checkpoint), keepCounts: keep.counts, source: source
        ).write(images: images, to: output)
      }
      if communicator.isFirst { Console.write(TokenizerReconstruction.table(rows) + "\(output)\n") }
    }
  }
}

/// The value of `--keep` where several are possible.
struct KeepCounts: ExpressibleByArgument {
  let counts: [Int]

  init(counts: [Int]) { self.counts = counts }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    counts = parts.compactMap { Int($0) }
    guard counts.count == parts.count, counts.allSatisfy({ $0 > 0 }) else { return nil }
  }

  var defaultValueDescription: String { "" }
}
