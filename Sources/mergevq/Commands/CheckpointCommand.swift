import ArgumentParser
import Collectives
import Training

/// The commands about checkpoints and weight files.
struct CheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint", abstract: "Look at, verify, import and export weights.",
    subcommands: [
      InspectCheckpointCommand.self, VerifyCheckpointCommand.self, ImportWeightsCommand.self, ExportWeightsCommand.self,
    ])
}

/// `mergevq checkpoint inspect`.
struct InspectCheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Print what a checkpoint or a weight file holds.")

  @Argument(help: "A run directory, one of its checkpoints, a weight file, or a PyTorch file.")
  var path: String

  func run() throws {
    try runCommand { communicator in
      let text = try communicator.collectively("looking at \(path)") {
        communicator.isFirst ? try CheckpointInspection(path: path).text : ""
      }
      Console.write(text)
    }
  }
}

/// `mergevq checkpoint verify`.
struct VerifyCheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check every byte of a checkpoint against what was written.",
    discussion: "Under mpirun the ranks share the reading. Exit status 74: something is damaged; each problem is named."
  )

  @Argument(help: "A run directory (all of its checkpoints), one checkpoint, or a weight file.")
  var path: String

  func run() throws {
    try runCommand { communicator in
      let verification = try CheckpointVerification(path: path, on: communicator)
      if communicator.isFirst { Console.write(verification.notes.map { $0 + "\n" }.joined()) }
      if !verification.problems.isEmpty { throw DamagedCheckpoint(problems: verification.problems) }
    }
  }
}

extension WeightChoice: ExpressibleByArgument {}
extension PublishedNetwork: ExpressibleByArgument {}
extension SourceChoice: ExpressibleByArgument {}
