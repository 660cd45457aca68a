import ArgumentParser
import Collectives
import Training

/// `mergevq report`.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write a run's report.html: curves, reconstructions, code usage, throughput, ranks, configuration.",
    discussion: "One file without anything from elsewhere. A training that ends by itself has written it already.")

  @Argument(help: "A run directory.")
  var runDirectory: String

  func run() throws {
    try runCommand { communicator in
      let path = try communicator.collectively("writing the report") {
        communicator.isFirst ? try RunReport(RunDirectory(path: runDirectory)).write() : ""
      }
      if communicator.isFirst { Console.write(path + "\n") }
    }
  }
}
