import ArgumentParser
import Training

/// The commands about data.
struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Look at data before training on it.",
    subcommands: [VerifyCodesCommand.self])
}
