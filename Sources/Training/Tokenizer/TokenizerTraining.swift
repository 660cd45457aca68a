public import Checkpointing
public import Collectives
import DataLoading
import Foundation
import Kernels
import Tensors
import Tokenizer

/// Where a run starts.
public enum ResumePolicy: Sendable, Equatable {
  /// At the newest good checkpoint of the run directory, or at the beginning where there is none.
  case automatic
  /// At the beginning; an existing run in the directory is refused.
  case never
  /// At a checkpoint or at the newest of another run's directory.
  case from(String)
}

/// A whole tokenizer training as a user starts it: data, model, resumption, loop, pictures. Collective throughout.
public struct TokenizerTraining {
  private let recipe: TokenizerRecipe
  private let communicator: any Communicator
  private let reporter: TrainingLoop.Reporter
  /// Called at every stage of a checkpoint write; for programs that test interruptions.
  public var checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)?

  /// A training by `recipe` on the ranks of `communicator`.
  public init(recipe: TokenizerRecipe, communicator: any Communicator, reporter: TrainingLoop.Reporter) {
    self.recipe = recipe
    self.communicator = communicator
    self.reporter = reporter
  }

  /// Trains to the end, or until `stop` steps are done; after the last step writes `reconstructions.png` and
  /// `losses.png`.
  /// - Throws: `ConfigError`, `PeerFailure`, `TrainingError`, `CommunicationError`; on every rank, and the same one
  ///   unless the network itself failed.
  public func run(resume: ResumePolicy = .automatic, stoppingAt stop: Int? = nil) throws -> TrainingLoop.Ending {
    let interruption = Interruption()
    interruption.listen()
    let imagesPerRank = try recipe.batch.imagesPerRank(worldSize: communicator.worldSize)
    try RankThreads.configure(recipe.run.threads, communicator: communicator)

    let training = try opened(recipe.data.requiredTrainingPath(), key: "data.train")
    let validation = try recipe.data.validation.map { try opened($0, key: "data.validation") }
    let stepsPerEpoch = max(1, training.count / recipe.batch.global)
    let totalSteps = recipe.run.totalSteps(stepsPerEpoch: stepsPerEpoch)

    let directory = RunDirectory(path: recipe.runDirectory)
    let isFirst = communicator.isFirst
    let resolved = try recipe.resolvedYAML()
    let lock = try communicator.collectively("opening the run directory") {
      guard isFirst else { return RunLock?.none }
      try directory.create()
      return try RunLock(directory)
    }
    defer { lock?.release() }

    let task = TokenizerTask(
      recipe: recipe, totalSteps: totalSteps, stepsPerEpoch: stepsPerEpoch, communicator: communicator
    ) { [communicator, recipe] body in
      try forEachValidationBatch(
        of: validation, recipe: recipe, batchSize: imagesPerRank, communicator: communicator, body)
    }
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
    say(
      "\(training.count) images, \(training.classNames.count) classes; \(describe(task.model)); \(totalSteps) steps of "
        + "\(recipe.batch.global) images on \(communicator.worldSize) ranks of \(Threads.count) threads")

    let loader = BatchLoader(
      dataset: training,
      options: loaderOptions(recipe, batchSize: imagesPerRank, isTraining: true),
      order: .shuffled(cursor: start * recipe.batch.global), rank: communicator.rank,
      worldSize: communicator.worldSize)
    defer { loader.stop() }
    let badImageLog = BadImageLog(directory: directory, rank: communicator.rank)
    let loop = TrainingLoop(
      task: task, communicator: communicator, run: recipe.run, batch: recipe.batch, totalSteps: totalSteps,
      completedSteps: start, checkpoints: checkpoints, log: log, reporter: reporter, interruption: interruption,
      badImageCount: { loader.badCount })
    let ending = try ConvolutionPrecision.$current.withValue(recipe.run.convolutions) {
      try loop.run(stoppingAt: stop) {
        let batch = Result { () throws(DataError) in try loader.next() }
        try badImageLog.append(loader.drainBadImages())
        return try batch.get()
      }
    }
    let badImages = try communicator.allReduce(Int64(loader.badCount), .sum)
    if badImages > 0 {
      say("\(badImages) times an image could not be used; see \(directory.path)/bad-images-rank*.jsonl")
    }
    try drawPictures(task, images: validation ?? training, directory: directory)
    return ending
  }

  /// Restores the newest good checkpoint, or the named one; returns the steps done.
  private func restore(_ task: TokenizerTask, _ resume: ResumePolicy, _ checkpoints: RunCheckpoints) throws -> Int {
    let checkpoint: CheckpointReader?
    switch resume {
    case .automatic, .never:
      let (resumption, rejected) = try checkpoints.newest()
      for reason in rejected { say("passed over a damaged checkpoint: \(reason)") }
      checkpoint = resumption?.checkpoint
      if resume == .never, let checkpoint {
        throw ConfigError(
          key: "run.directory",
          problem: "has a checkpoint already (\(checkpoint.directory)); choose another directory, remove it, or resume")
      }
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

  private func checkpointDirectory(_ path: String) throws -> String {
    try communicator.collectively("looking for a checkpoint") { try locateCheckpoint(path) }
  }

  private func opened(_ path: String, key: String) throws -> any ImageDataset {
    let dataset = try communicator.collectively("opening \(key)") { try openDataset(path) }
    guard dataset.count >= communicator.worldSize else {
      throw ConfigError(
        key: key, problem: "has \(dataset.count) images for \(communicator.worldSize) ranks; use fewer ranks")
    }
    return dataset
  }

  private func say(_ text: String) {
    if communicator.isFirst { reporter.message(text) }
  }

  private func describe(_ model: TokenizerModel) -> String {
    String(format: "%.1f M parameters", Double(model.parameterCount) / 1e6)
  }

  /// The pictures of a run's state, drawn by rank 0 with the averaged weights.
  private func drawPictures(_ task: TokenizerTask, images: any ImageDataset, directory: RunDirectory) throws {
    guard let weights = task.weights.first else { return }
    try weights.withAverage {
      try communicator.collectively("drawing pictures") {
        guard communicator.isFirst else { return }
        let pictures = TokenizerPictures(model: task.model, view: view(recipe, isTraining: false))
        // One more than an even spread, so that a cycle of classes does not show the same few again and again.
        let shown = min(16, images.count)
        let spread = (0..<shown).map { ($0 * (images.count / shown) + $0) % images.count }
        try pictures.reconstructions(of: images, at: spread, keep: recipe.model.defaultKeepCount, title: recipe.name)
          .writePNG(to: directory.path + "/reconstructions.png")
        try LossPicture(records: MetricsLog.records(of: directory), title: recipe.name).writePNG(
          to: directory.path + "/losses.png")
      }
    }
  }
}

/// How images are loaded for a recipe.
func loaderOptions(_ recipe: TokenizerRecipe, batchSize: Int, isTraining: Bool) -> LoaderOptions {
  LoaderOptions(
    batchSize: batchSize, views: [view(recipe, isTraining: isTraining)], seed: recipe.run.seed,
    threadCount: recipe.data.loaderThreads ?? max(1, Threads.count / 4), prefetchCount: recipe.data.prefetchBatches,
    allowedBadShare: recipe.data.badImageShare)
}

/// What the model sees of an image.
func view(_ recipe: TokenizerRecipe, isTraining: Bool) -> ViewOptions {
  let training = ViewOptions(
    resolution: recipe.model.resolution, shorterSide: recipe.data.resize,
    crop: recipe.data.crop == .random ? .random : .center, horizontalFlip: recipe.data.flip)
  return isTraining ? training : training.deterministic
}

/// Calls `body` with this rank's share of the validation images, once through.
private func forEachValidationBatch(
  of dataset: (any ImageDataset)?, recipe: TokenizerRecipe, batchSize: Int, communicator: any Communicator,
  _ body: (ImageBatch) throws -> Void
) throws {
  guard let dataset else { return }
  let loader = BatchLoader(
    dataset: dataset, options: loaderOptions(recipe, batchSize: batchSize, isTraining: false), order: .sequential,
    rank: communicator.rank, worldSize: communicator.worldSize)
  defer { loader.stop() }
  var steps = loader.stepCount ?? 0
  if let limit = recipe.data.validationImages {
    let imagesPerStep = batchSize * communicator.worldSize
    steps = min(steps, (limit + imagesPerStep - 1) / imagesPerStep)
  }
  for _ in 0..<steps { try body(loader.next()) }
}
