import ArgumentParser
import Collectives
import Training

/// `mergevq status`.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show where every rank of a run is, what a step takes it, and which hosts are slow.",
    discussion: "Reads the heartbeats in the run directory, so it works on any host and while ranks hang.")

  @Argument(help: "A run directory.")
  var runDirectory: String

  func run() throws {
    try runCommand { communicator in
      let text = try communicator.collectively("reading heartbeats") { try RunStatus(runDirectory).text }
      if communicator.isFirst { Console.write(text) }
    }
  }
}
