import ArgumentParser
import Training

/// The commands about data.
struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Look at data before training on it, and pack it.",
    subcommands: [
      PackDataCommand.self, DataStatisticsCommand.self, DataGridCommand.self, VerifyDataCommand.self,
      VerifyCodesCommand.self, ReferenceCommand.self,
    ])
}
