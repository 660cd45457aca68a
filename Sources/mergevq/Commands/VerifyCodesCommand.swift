import ArgumentParser
import Collectives
import Training

/// `mergevq data verify-codes`.
struct VerifyCodesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-codes", abstract: "Check a folder of codes, and draw some of them with their classes.",
    discussion: """
      Reads every byte: hashes, ranges of codes and classes, and that the codes are this tokenizer's. What the picture \
      shows is what a generator learns from: look whether images and class names belong together.
      """)

  @Option(help: "A folder that 'generator encode' wrote.")
  var codes: String

  @Option(help: "The tokenizer that made them: a run directory, a checkpoint or a weight file.")
  var checkpoint: String

  @Option(help: "The PNG file to write.")
  var output: String

  @Option(help: "How many tokens to keep; the tokenizer's default otherwise.")
  var keep: Int?

  func run() throws {
    try runCommand { communicator in
      let text = try communicator.collectively("verifying codes") {
        guard communicator.isFirst else { return "" }
        return try CodeVerification(codes: codes, tokenizer: checkpoint, keepCount: keep).write(to: output)
      }
      if communicator.isFirst { Console.write(text + "\n\(output)\n") }
    }
  }
}
