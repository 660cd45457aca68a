import Checkpointing
import Collectives
import Foundation
import Synchronization
import Training

/// `train RECIPE RUN-DIRECTORY [MISFORTUNE…] [KEY=VALUE…]`: trains a tokenizer, with settings and misfortunes:
/// - `die:STAGE`: at STAGE of the second checkpoint write, rank 0 kills itself, as a machine that loses power would;
/// - `nan:RANK:STEP`: the loss of one rank in one step (from 1) is not a number;
/// - `full:RANK:BYTES`: no file that a rank writes gets longer, as on a full disk.
///
/// Rank 0 prints its process identifiers and every step.
func trainTokenizer(_ communicator: any Communicator, _ arguments: [String]) throws {
  try expect(arguments.count >= 2, "usage: train RECIPE RUN-DIRECTORY [MISFORTUNE…] [KEY=VALUE…]")
  let misfortunes = arguments.dropFirst(2).filter { !$0.contains("=") }.map {
    $0.split(separator: ":").map(String.init)
  }
  let recipe = try TokenizerRecipe.resolve(
    path: arguments[0],
    overrides: ["run.directory=\(arguments[1])"] + arguments.dropFirst(2).filter { $0.contains("=") })
  let identifiers = try communicator.allGather(Int64(ProcessInfo.processInfo.processIdentifier))
  // Unbuffered: the test reads along.
  @Sendable func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
  if communicator.isFirst { say("pids: " + identifiers.map(String.init).joined(separator: " ")) }

  var ranks: any Communicator = communicator
  var observer: (@Sendable (CheckpointWriter.Stage) -> Void)?
  for words in misfortunes {
    let numbers = words.dropFirst().compactMap { Int($0) }
    switch words[0] {
    case "die" where words.count == 2:
      let saboteur = Saboteur(stage: words[1])
      if communicator.isFirst { observer = { saboteur.observe($0) } }
    case "nan" where numbers.count == 2:
      let isVictim = numbers[0] == communicator.rank
      ranks = PoisonedCommunicator(
        communicator, valueCount: 1 << recipe.model.codeBits, call: isVictim ? numbers[1] : 0)
    case "full" where numbers.count == 2:
      if communicator.rank == numbers[0] { limitFiles(to: numbers[1]) }
    default: throw CheckFailure(description: "no such misfortune: \(words)")
    }
  }
  var training = TokenizerTraining(
    recipe: recipe, communicator: ranks,
    reporter: TrainingReporter(
      progress: { say("step: \($0.step)") }, message: { say("message: \($0)") }, alarm: { say("alarm: \($0)") }))
  training.checkpointObserver = observer
  let ending = try training.run()
  if communicator.isFirst { say("ending: \(ending)") }
}

/// Lets writes beyond a length fail.
private func limitFiles(to byteCount: Int) {
  signal(SIGXFSZ, SIG_IGN)
  var limit = rlimit(rlim_cur: rlim_t(byteCount), rlim_max: rlim_t(byteCount))
  setrlimit(__rlimit_resource_t(1), &limit)  // RLIMIT_FSIZE, which is not imported
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
