import ArgumentParser
import Collectives
import Training

/// `mergevq tokenizer reconstruct`.
struct ReconstructCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconstruct", abstract: "Draw images beside what a tokenizer makes of them.",
    discussion: "Each row: the image, its reconstruction, and the merged groups in their mean colours.")

  @Option(help: "A run directory (its newest good checkpoint) or one checkpoint of it.")
  var checkpoint: String

  @Option(parsing: .upToNextOption, help: "Image files, or folders of images.")
  var images: [String]

  @Option(help: "The PNG file to write.")
  var output: String

  @Option(help: "How many tokens to keep; the recipe's default otherwise.")
  var keep: Int?

  func run() throws {
    try runCommand { communicator in
      try communicator.collectively("reconstructing images") {
        guard communicator.isFirst else { return }
        try TokenizerReconstruction(checkpoint: checkpoint, keepCount: keep).write(images: images, to: output)
      }
      if communicator.isFirst { Console.write("\(output)\n") }
    }
  }
}
