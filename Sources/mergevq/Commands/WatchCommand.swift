import ArgumentParser
import Foundation
import Training

/// `mergevq watch`.
struct WatchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Show a run's progress, curves, rates and ranks, again and again until it ends.",
    discussion: """
      Reads the run directory only, so it works from another shell or host, and waits for a run that was not started \
      yet. Where standard output is no terminal, it shows one frame.
      """)

  @Argument(help: "A run directory.")
  var runDirectory: String

  @Flag(help: "Show one frame and stop.")
  var once = false

  @Option(help: ArgumentHelp("Seconds between frames.", valueName: "seconds"), transform: positive)
  var every = 2

  func run() throws {
    try runCommand { _ in
      let line = Console.progressLine()
      var watch = RunWatch(runDirectory, width: line.isTerminal ? line.columnCount : .max)
      if once || !line.isTerminal { return Console.write(try watch.frame().text) }
      while true {
        do {
          let frame = try watch.frame()
          // From the upper left corner on, over what was there.
          Console.write("\u{1B}[H\u{1B}[J" + frame.text)
          if frame.hasEnded { return }
        } catch let error as ConfigError {
          Console.write("\u{1B}[H\u{1B}[Jwaiting: \(error)\n")
        }
        sleep(UInt32(every))
      }
    }
  }
}
