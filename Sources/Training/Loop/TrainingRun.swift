import Checkpointing
import Collectives
import DataLoading
import Foundation
import Kernels
import Tensors

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

/// What surrounds every training, whatever is trained: threads and signals, the run directory and its lock, the watch
/// over the ranks, resumption and rollback, metrics, messages, the loop, and what is drawn at the end. Collective
/// throughout.
final class TrainingRun<R: TrainingRecipe> {
  let recipe: R
  /// The ranks, watched over: to be used for everything in the run.
  let communicator: any Communicator
  let interruption = Interruption()
  private let reporter: TrainingReporter
  private let checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)?
  private let timeline: StepTimeline?
  private let trace: CommunicationTrace
  /// What this rank's processor can do, see `ComputeRate`.
  private let peakGFLOPS: Double
  private let sequence: SequenceCheckedCommunicator
  private let directory: RunDirectory
  private let lock: RunLock?
  private let monitor: RankMonitor
  /// What gradients are reduced with while others are being computed, and how many bytes at a time; nil where they are
  /// reduced at the end of a step.
  private var overlap: (communicator: any Communicator, bucketBytes: Int?)?

  /// Takes this rank's threads and the run directory, and starts to listen for signals and to watch: before anything
  /// is loaded.
  /// - Parameter checkpointObserver: Called at every stage of a checkpoint write; for programs that test interruptions.
  init(
    recipe: R, communicator base: any Communicator, reporter: TrainingReporter,
    checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)? = nil
  ) throws {
    self.recipe = recipe
    self.reporter = reporter
    self.checkpointObserver = checkpointObserver
    let faults = recipe.run.faults
    let timeline = recipe.run.traceSteps.isEmpty ? nil : StepTimeline(steps: recipe.run.traceSteps)
    self.timeline = timeline
    trace = Self.trace(timeline, .training)
    sequence = SequenceCheckedCommunicator(base, checkedCallCount: faults.checkedSteps > 0 ? .max : 0)
    let communicator = TracedCommunicator(sequence, trace: trace)
    self.communicator = communicator
    let spareCores = try beginTraining(recipe.run, communicator: communicator)
    let settings = recipe.run.communication
    if communicator.worldSize > 1 && (settings.overlap == .always || settings.overlap == .automatic && spareCores > 0) {
      overlap = (
        TracedCommunicator(try communicator.duplicate(), trace: Self.trace(timeline, .reduction)), settings.bucketBytes
      )
    }
    // All at the same time, as in training.
    try communicator.barrier()
    peakGFLOPS = RankFacts.matrixProductGFLOPS(gemm)
    let directory = RunDirectory(path: recipe.runDirectory)
    self.directory = directory
    lock = try communicator.collectively("opening the run directory") {
      guard communicator.isFirst else { return RunLock?.none }
      try directory.create()
      return try RunLock(directory, holder: .current(job: RunLock.jobName))
    }
    monitor = try RankMonitor(
      communicator, trace: trace, directory: directory, config: faults, alarm: reporter.alarm)
  }

  /// Notes operations in a timeline, if there is one.
  private static func trace(_ timeline: StepTimeline?, _ thread: StepTimeline.Thread) -> CommunicationTrace {
    guard let timeline else { return CommunicationTrace() }
    return CommunicationTrace { timeline.note($0, on: thread, from: $1, to: $2) }
  }

  deinit {
    monitor.stop()
    lock?.release()
  }

  /// Opens a data set that the recipe names `key`.
  /// - Parameter labels: For one archive of images: where their classes are written.
  /// - Throws: `PeerFailure`; `ConfigError` if some rank would have nothing of it; `Interrupted` after a signal.
  func opened(_ path: String, key: String, labels: String? = nil) throws -> any ImageDataset {
    monitor.enter("opening \(key)")
    let dataset = try openDataset(
      path, key: key, labels: labels, runDirectory: recipe.runDirectory, communicator: communicator)
    try interruption.check(communicator, during: "opening \(key)")
    return dataset
  }

  /// Trains to the end, or until `stop` steps are done.
  /// - Parameters:
  ///   - totalSteps: Optimizer steps of the whole run.
  ///   - makeTask: Called at the start, and again when the run goes back to its beginning or a checkpoint.
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
    let resolved = try recipe.resolvedYAML()
    let checkpoints = RunCheckpoints(
      runDirectory: directory.path, communicator: communicator,
      retention: CheckpointRetention(last: recipe.run.keepLast, every: recipe.run.keepEvery), recipe: resolved,
      observer: checkpointObserver)
    var resume = resume
    var rollbacks = Rollbacks(limit: recipe.run.faults.nonFiniteInARow)
    while true {
      monitor.enter("resuming")
      let task = try makeTask()
      let start = try restore(task, resume, checkpoints)
      let log = try communicator.collectively("opening the metrics") {
        guard communicator.isFirst else { return MetricsLog?.none }
        try directory.write(resolvedRecipe: resolved)
        let log = try MetricsLog(directory, resumingAt: start)
        if start > 0 { try log.append(MetricsRecord(step: start, kind: .resume, values: [:])) }
        return log
      }
      let tensorBoard = try communicator.collectively("opening the event file") {
        communicator.isFirst && recipe.run.tensorBoard
          ? try TensorBoardLog(directory, resumingAt: start) : TensorBoardLog?.none
      }
      say(summary(task))
      let reduction = try overlappedReduction(of: task)
      defer { reduction?.stop() }
      task.weights.first?.overlap = reduction
      try interruption.check(communicator, during: "starting")
      let source = try makeSource(start * recipe.batch.global, directory)
      defer { source.stop() }
      let loop = try TrainingLoop(
        task: task, source: source, completedSteps: start,
        .init(
          communicator: communicator, run: recipe.run, batch: recipe.batch, totalSteps: totalSteps,
          directory: directory, checkpoints: checkpoints, log: log, tensorBoard: tensorBoard, peakGFLOPS: peakGFLOPS,
          timeline: timeline, reporter: reporter, interruption: interruption, monitor: monitor,
          excludedSteps: rollbacks.excludedSteps,
          stopChecking: { [sequence] in sequence.stopChecking() }))
      let ending = try ConvolutionPrecision.$current.withValue(recipe.run.convolutions) {
        try Recomputation.$current.withValue(recipe.run.recomputation) {
          try StepTimeline.$current.withValue(timeline) { try loop.run(stoppingAt: stop) }
        }
      }
      switch ending {
      case .mustRollBack(let step):
        try rollbacks.note(step: step, start: start)
        // Not to where the user began, but to what this run has reached.
        resume = .automatic
      case .ended(let ending):
        // Whoever asks a run to end soon does not wait for pictures.
        if case .interrupted = ending { return ending }
        try conclude(task, source, finish)
        return ending
      }
    }
  }

  /// Lets the model's gradients meet while they are being computed, if that is on. (A discriminator's are few, and
  /// complete last.) Collective.
  private func overlappedReduction(of task: any TrainingTask) throws -> OverlappedReduction? {
    guard let overlap, let weights = task.weights.first else { return nil }
    let bucketBytes =
      try overlap.bucketBytes
      ?? OverlappedReduction.measuredBucketBytes(overlap.communicator, limit: weights.arena.count * 4)
    self.overlap?.bucketBytes = bucketBytes
    let reduction = OverlappedReduction(
      weights, bucketBytes: bucketBytes, communicator: overlap.communicator, trace: trace)
    say(
      "gradients are reduced while others are computed, in \(reduction.bucketCount) buckets of "
        + String(format: "%.1f MB", Double(bucketBytes) / 1e6))
    return reduction
  }

  /// Tells of bad images and draws pictures.
  private func conclude<Task: TrainingTask>(
    _ task: Task, _ source: any BatchSource<Task.Batch>, _ finish: (Task, RunDirectory) throws -> Void
  ) throws {
    let badImages = try communicator.allReduce(Int64(source.badImageCount), .sum)
    if badImages > 0 {
      say("\(badImages) times an image could not be used; see \(directory.path)/bad-images-rank*.jsonl")
    }
    guard recipe.run.pictures else { return }
    monitor.enter("drawing pictures")
    try task.weights.first?.withAverage {
      try communicator.collectively("drawing pictures") { try finish(task, directory) }
    }
    try communicator.collectively("writing the report") {
      guard communicator.isFirst else { return }
      try RunReport(directory).write()
    }
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
/// - Returns: Cores that are left to every rank beside its threads.
func beginTraining(_ run: RunConfig, communicator: any Communicator) throws -> Int {
  Interruption().listen()
  return try RankThreads.configure(run.threads, communicator: communicator)
}

/// `12.3 M parameters`.
func parameterText(_ count: Int) -> String { String(format: "%.1f M parameters", Double(count) / 1e6) }
