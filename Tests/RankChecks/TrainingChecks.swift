import Checkpointing
import Collectives
import Foundation
import Synchronization
import Training

/// `train RECIPE RUN-DIRECTORY [STAGE]`: trains a tokenizer; at STAGE of the second checkpoint write, rank 0 kills
/// itself, as a machine that loses power would. Rank 0 prints its process identifiers and every step.
func trainTokenizer(_ communicator: any Communicator, _ arguments: [String]) throws {
  try expect(arguments.count >= 2, "usage: train RECIPE RUN-DIRECTORY [STAGE]")
  let recipe = try TokenizerRecipe.resolve(
    path: arguments[0], overrides: ["run.directory=\(arguments[1])"])
  let identifiers = try communicator.allGather(Int64(ProcessInfo.processInfo.processIdentifier))
  // Unbuffered: the test reads along.
  func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
  if communicator.isFirst { say("pids: " + identifiers.map(String.init).joined(separator: " ")) }
  var training = TokenizerTraining(
    recipe: recipe, communicator: communicator,
    reporter: TrainingReporter(
      progress: { say("step: \($0.step)") }, message: { say("message: \($0)") }))
  if arguments.count > 2, communicator.isFirst {
    let saboteur = Saboteur(stage: arguments[2])
    training.checkpointObserver = { saboteur.observe($0) }
  }
  let ending = try training.run()
  if communicator.isFirst { say("ending: \(ending)") }
}

/// Kills its process at a stage of the second checkpoint write.
private struct Saboteur: Sendable {
  let stage: String

  func observe(_ stage: CheckpointWriter.Stage) {
    if stage == .prepared { Self.writes.add(1, ordering: .relaxed) }
    // The first checkpoint of the test's recipe is step 3; the write to be interrupted is that of step 6.
    guard Self.writes.load(ordering: .relaxed) == 2, String(describing: stage).hasPrefix(self.stage) else { return }
    kill(ProcessInfo.processInfo.processIdentifier, SIGKILL)
  }

  private static let writes = Atomic<Int>(0)
}
