import Checkpointing
import Foundation

/// A training under `mergevq supervise`, started by a test.
struct SupervisedRun {
  let job: MPIRun
  let directory: String

  /// Supervises a training of the playground's recipe.
  init(_ playground: TrainingPlayground, _ name: String, options: [String], settings: [String]) throws {
    directory = playground.run(name)
    let overrides = (["run.directory=\(directory)"] + settings).flatMap { ["--set", $0] }
    job = try MPIRun(
      command: [MPIRun.product("mergevq"), "supervise", "--back-off", "0.1"] + options
        + ["--", "tokenizer", "train", playground.recipe] + overrides)
  }

  /// Options that let more ranks than cores run on this machine.
  static let local = ["--mpirun=--oversubscribe --bind-to none --mca mpi_yield_when_idle 1"]

  /// What the supervisor has said so far, line by line.
  func messages() throws -> [String] {
    try job.standardErrorText().split(separator: "\n").compactMap {
      $0.hasPrefix("supervisor: ") ? String($0.dropFirst(12)) : nil
    }
  }

  /// Waits until `condition` holds.
  func wait(_ what: String, timeout: Duration = .seconds(40), until condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + timeout
    while try !condition() {
      guard job.isRunning, ContinuousClock.now < deadline else {
        throw MPIRun.TimedOut(
          description: "waiting for \(what):\n\(try job.standardOutput())\n\(try job.standardErrorText())")
      }
      usleep(20_000)
    }
  }

  /// The step of the newest checkpoint; 0 before the first.
  var newestStep: Int {
    get throws { try CheckpointFolder(runDirectory: directory).candidates().first?.step ?? 0 }
  }

  private struct Beat: Decodable {
    let rank: Int
    let processIdentifier: Int32
    let step: Int
    let activity: String
  }

  /// The processes of the ranks that have said something, by rank.
  func processes() -> [Int32] {
    (0..<64).compactMap { rank in
      let path = directory + "/heartbeats/rank-" + String(repeating: "0", count: 5 - "\(rank)".count) + "\(rank).json"
      guard let content = FileManager.default.contents(atPath: path) else { return nil }
      do { return try JSONDecoder().decode(Beat.self, from: content).processIdentifier } catch { return nil }
    }
  }
}
