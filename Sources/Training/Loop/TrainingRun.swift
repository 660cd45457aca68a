import Checkpointing
import Collectives
import DataLoading
import Foundation
import Kernels

/// Where a run starts.
public enum ResumePolicy: Sendable, Equatable {
  /// At the newest good checkpoint of the run directory, or at the beginning where there is none.
  case automatic
  /// At the beginning; an existing run in the directory is refused.
  case never
  /// At a checkpoint, at the newest of another run's directory, or at the beginning with the weights of a weight file.
  case from(String)
}

/// A recipe that trains something: what a run needs to know of it, whatever is trained.
public protocol TrainingRecipe: Recipe {
  /// Names the run in messages and its default directory.
  var name: String { get }
  /// Length, seed, reporting.
  var run: RunConfig { get }
  /// Samples of a step.
  var batch: BatchConfig { get }
}

extension TrainingRecipe {
  /// The run directory, `runs/NAME` by default.
  public var runDirectory: String { run.directory ?? "runs/\(name)" }
}

/// What surrounds every training, whatever is trained: threads and signals, the run directory and its lock, resumption,
/// metrics, messages, the loop, and what is drawn at the end. Collective throughout.
struct TrainingRun<R: TrainingRecipe> {
  let recipe: R
  let communicator: any Communicator
  let reporter: TrainingReporter
  /// Called at every stage of a checkpoint write; for programs that test interruptions.
  let checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)?

  init(
    recipe: R, communicator: any Communicator, reporter: TrainingReporter,
    checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)? = nil
  ) {
    self.recipe = recipe
    self.communicator = communicator
    self.reporter = reporter
    self.checkpointObserver = checkpointObserver
  }

  /// Trains to the end, or until `stop` steps are done.
  /// - Parameters:
  ///   - totalSteps: Optimizer steps of the whole run.
  ///   - makeTask: Called once the run directory is ours.
  ///   - summary: What the run is, in one line.
  ///   - makeSource: This rank's batches, behind `cursor` samples of the run.
  ///   - finish: Draws pictures, with the averaged weights in place; called on every rank, may not communicate.
  /// - Throws: `ConfigError`, `PeerFailure`, `TrainingError`, `CommunicationError`; on every rank, and the same one
  ///   unless the network itself failed.
  func train<Task: TrainingTask>(
    resume: ResumePolicy, stoppingAt stop: Int?, totalSteps: Int, makeTask: () throws -> Task,
    summary: (Task) -> String, makeSource: (_ cursor: Int, RunDirectory) throws -> any BatchSource<Task.Batch>,
    finish: (Task, RunDirectory) throws -> Void
  ) throws -> TrainingEnding {
    let directory = RunDirectory(path: recipe.runDirectory)
    let isFirst = communicator.isFirst
    let resolved = try recipe.resolvedYAML()
    let lock = try communicator.collectively("opening the run directory") {
      guard isFirst else { return RunLock?.none }
      try directory.create()
      return try RunLock(directory)
    }
    defer { lock?.release() }

    let task = try makeTask()
    let checkpoints = RunCheckpoints(
      runDirectory: directory.path, communicator: communicator,
      retention: CheckpointRetention(last: recipe.run.keepLast, every: recipe.run.keepEvery), recipe: resolved,
      observer: checkpointObserver)
    let start = try restore(task, resume, checkpoints)
    let log = try communicator.collectively("opening the metrics") {
      guard isFirst else { return MetricsLog?.none }
      try directory.write(resolvedRecipe: resolved)
      let log = try MetricsLog(directory, resumingAt: start)
      if start > 0 { try log.append(MetricsRecord(step: start, kind: .resume, values: [:])) }
      return log
    }
    say(summary(task))

    let source = try makeSource(start * recipe.batch.global, directory)
    defer { source.stop() }
    let loop = TrainingLoop(
      task: task, communicator: communicator, run: recipe.run, batch: recipe.batch, totalSteps: totalSteps,
      completedSteps: start, checkpoints: checkpoints, log: log, reporter: reporter, interruption: Interruption(),
      badImageCount: { source.badImageCount })
    let ending = try ConvolutionPrecision.$current.withValue(recipe.run.convolutions) {
      try loop.run(stoppingAt: stop) { try source.next() }
    }
    let badImages = try communicator.allReduce(Int64(source.badImageCount), .sum)
    if badImages > 0 {
      say("\(badImages) times an image could not be used; see \(directory.path)/bad-images-rank*.jsonl")
    }
    try task.weights.first?.withAverage {
      try communicator.collectively("drawing pictures") { try finish(task, directory) }
    }
    return ending
  }

  /// Restores the newest good checkpoint, or the named one; returns the steps done.
  private func restore(_ task: any TrainingTask, _ resume: ResumePolicy, _ checkpoints: RunCheckpoints) throws -> Int {
    let checkpoint: CheckpointReader?
    switch resume {
    case .automatic, .never:
      let (resumption, rejected) = try checkpoints.newest()
      for reason in rejected { say("passed over a damaged checkpoint: \(reason)") }
      checkpoint = resumption?.checkpoint
      if resume == .never { try refuseExistingRun(checkpoint) }
    case .from(let path) where try communicator.collectively("looking for \(path)", { isRegularFile(path) }):
      try start(task, fromWeights: path, checkpoints)
      return 0
    case .from(let path): checkpoint = try checkpoints.opened(checkpointDirectory(path))
    }
    guard let checkpoint else { return 0 }
    try checkpoints.load(checkpoint, into: task)
    for change in try recipe.differences(fromSaved: checkpoint.manifest.recipe, named: checkpoint.directory) {
      say("'\(change.key)' was \(change.saved) and is now \(change.current)")
    }
    say("resumed \(checkpoint.directory) after step \(checkpoint.manifest.step)")
    return checkpoint.manifest.step
  }

  /// Begins a new run with the weights of a weight file.
  private func start(_ task: any TrainingTask, fromWeights path: String, _ checkpoints: RunCheckpoints) throws {
    try refuseExistingRun(try checkpoints.newest().resumption?.checkpoint)
    let saved = try communicator.collectively("loading \(path)") {
      let file = try WeightFile.open(path)
      try task.weights.first?.load(published: file)
      return file.metadata[WeightFileKey.recipe]
    }
    say("started from the weights in \(path)")
    guard let saved else { return }
    for change in try recipe.differences(fromSaved: saved, named: path) where change.key.hasPrefix("model.") {
      say("'\(change.key)' was \(change.saved) and is now \(change.current)")
    }
  }

  private func refuseExistingRun(_ checkpoint: CheckpointReader?) throws {
    guard let checkpoint else { return }
    throw ConfigError(
      key: "run.directory",
      problem: "has a checkpoint already (\(checkpoint.directory)); choose another directory, remove it, or resume")
  }

  private func checkpointDirectory(_ path: String) throws -> String {
    try communicator.collectively("looking for a checkpoint") { try locateCheckpoint(path) }
  }

  /// Tells the user something, once.
  func say(_ text: String) {
    if communicator.isFirst { reporter.message(text) }
  }
}

/// Listens for signals and takes this rank's threads: to be called before anything is loaded. Collective.
func beginTraining(_ run: RunConfig, communicator: any Communicator) throws {
  Interruption().listen()
  try RankThreads.configure(run.threads, communicator: communicator)
}

/// Opens a data set that a recipe names. Collective.
/// - Parameter key: Where the recipe names it.
/// - Throws: `PeerFailure`; `ConfigError` if some rank would have nothing of it.
func openDataset(_ path: String, key: String, communicator: any Communicator) throws -> any ImageDataset {
  let dataset = try communicator.collectively("opening \(key)") { try openDataset(path) }
  guard dataset.count >= communicator.worldSize else {
    throw ConfigError(
      key: key, problem: "has \(dataset.count) images for \(communicator.worldSize) ranks; use fewer ranks")
  }
  return dataset
}

/// `12.3 M parameters`.
func parameterText(_ count: Int) -> String { String(format: "%.1f M parameters", Double(count) / 1e6) }
