import ArgumentParser
import Collectives
import Training

/// `mergevq tokenizer codebook`.
struct CodebookCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codebook", abstract: "Tell how a file of codes uses the codebook.",
    discussion: "Draws every code's share of the tokens, most frequent first, and the balance of every bit.")

  @Option(help: "A file that encode has written.")
  var codes: String

  @Option(help: "The PNG file to write.")
  var output: String

  func run() throws {
    try runCommand { communicator in
      let text = try communicator.collectively("counting codes") {
        guard communicator.isFirst else { return "" }
        let output = try NewOutput(output)
        return try CodebookSummary(TokenizerCodes(path: codes)).write(to: output) + "\(output.path)\n"
      }
      Console.write(text)
    }
  }
}
