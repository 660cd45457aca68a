public import Checkpointing
public import Collectives
import DataLoading
import Evaluation
import Kernels
import Tokenizer

/// A whole tokenizer training as a user starts it: data, model, resumption, loop, pictures. Collective throughout.
public struct TokenizerTraining {
  private let recipe: TokenizerRecipe
  private let communicator: any Communicator
  private let reporter: TrainingReporter
  /// Called at every stage of a checkpoint write; for programs that test interruptions.
  public var checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)?

  /// A training by `recipe` on the ranks of `communicator`.
  public init(recipe: TokenizerRecipe, communicator: any Communicator, reporter: TrainingReporter) {
    self.recipe = recipe
    self.communicator = communicator
    self.reporter = reporter
  }

  /// Trains to the end, or until `stop` steps are done; after the last step writes `reconstructions.png`,
  /// `losses.png` and `codebook.png`.
  /// - Throws: `ConfigError`, `PeerFailure`, `TrainingError`, `CommunicationError`; on every rank, and the same one
  ///   unless the network itself failed.
  public func run(resume: ResumePolicy = .automatic, stoppingAt stop: Int? = nil) throws -> TrainingEnding {
    let imagesPerRank = try recipe.batch.imagesPerRank(worldSize: communicator.worldSize)
    let trainingPath = try recipe.data.requiredTrainingPath()
    let run = try TrainingRun(
      recipe: recipe, communicator: communicator, reporter: reporter, checkpointObserver: checkpointObserver)
    let communicator = run.communicator
    let (training, stage) = try staged(
      run.opened(trainingPath, key: "data.train"), by: recipe.data, communicator: communicator)
    defer { stage?.close() }
    let validation = try recipe.data.validation.map {
      try run.opened($0, key: "data.validation", labels: recipe.data.validationLabels)
    }
    let networks = try communicator.collectively("loading the networks of the loss") { try BroughtNetworks(recipe) }
    if networks.alignment(of: recipe)?.needsTeacher == false { try checkClasses(of: training) }
    let stepsPerEpoch = max(1, training.count / recipe.batch.global)
    let totalSteps = recipe.run.totalSteps(stepsPerEpoch: stepsPerEpoch)

    return try run.train(
      resume: resume, stoppingAt: stop, totalSteps: totalSteps,
      makeTask: {
        networks.notices.forEach(run.say)
        return try TokenizerTask(
          recipe: recipe, totalSteps: totalSteps, stepsPerEpoch: stepsPerEpoch, communicator: communicator,
          networks: networks, picture: { try reconstructions($0, of: validation ?? training, limit: 8) }
        ) { [communicator, recipe, interruption = run.interruption] body in
          try forEachValidationBatch(
            of: validation, recipe: recipe, batchSize: imagesPerRank, communicator: communicator,
            interruption: interruption, body)
        }
      },
      summary: { task in
        "\(training.count) images, \(training.classNames.count) classes; \(parameterText(task.model.parameterCount)); "
          + "\(totalSteps) steps of \(recipe.batch.global) images on \(communicator.worldSize) ranks of "
          + "\(Threads.count) threads"
      },
      makeSource: { cursor, directory in
        ImageSource(
          loader: BatchLoader(
            dataset: training,
            options: loaderOptions(
              recipe, batchSize: imagesPerRank, isTraining: true, otherViews: networks.alignmentViews(of: recipe)),
            order: .shuffled(cursor: cursor), rank: communicator.rank, worldSize: communicator.worldSize),
          log: BadImageLog(directory: directory, rank: communicator.rank),
          stage: stage, tell: { [reporter, communicator] in reporter.tell($0, of: communicator) })
      },
      finish: { task, directory in
        if communicator.isFirst { try drawPictures(task, images: validation ?? training, directory: directory) }
      })
  }

  /// Alignment with classes needs an output for each.
  private func checkClasses(of dataset: any ImageDataset) throws(ConfigError) {
    let classes = dataset.classNames.count
    guard classes > 0, classes <= recipe.model.headOutputs else {
      throw ConfigError(
        key: "model.headOutputs",
        problem:
          "is \(recipe.model.headOutputs), but 'data.train' has \(classes) classes, which 'alignment.kind' labels "
          + "teaches")
    }
  }

  /// What `model` makes of at most `limit` images.
  private func reconstructions(
    _ model: TokenizerModel, of images: any ImageDataset, limit: Int
  ) throws -> PixelImage {
    // One more than an even spread, so that a cycle of classes does not show the same few again and again.
    let shown = min(limit, images.count)
    let spread = (0..<shown).map { ($0 * (images.count / shown) + $0) % images.count }
    return try TokenizerPictures(model: model, view: view(recipe, isTraining: false))
      .reconstructions(of: images, at: spread, keep: recipe.model.defaultKeepCount, title: recipe.name)
  }

  /// The pictures of a run's state.
  private func drawPictures(_ task: TokenizerTask, images: any ImageDataset, directory: RunDirectory) throws {
    try reconstructions(task.model, of: images, limit: 16).writePNG(to: directory.path + "/reconstructions.png")
    try LossPicture(records: MetricsLog.records(of: directory), title: recipe.name).writePNG(
      to: directory.path + "/losses.png")
    try task.codebook.picture(title: "\(recipe.name): codes of the last epoch")?.image()
      .writePNG(to: directory.path + "/codebook.png")
  }
}

/// How images are loaded for a recipe.
/// - Parameter otherViews: What else than the tokenizer sees of the images.
func loaderOptions(
  _ recipe: TokenizerRecipe, batchSize: Int, isTraining: Bool, otherViews: [ViewOptions] = []
) -> LoaderOptions {
  recipe.data.loaderOptions(
    batchSize: batchSize, globalBatch: recipe.batch.global,
    views: [view(recipe, isTraining: isTraining)] + otherViews, seed: recipe.run.seed)
}

/// What the model sees of an image.
func view(_ recipe: TokenizerRecipe, isTraining: Bool) -> ViewOptions {
  recipe.data.view(resolution: recipe.model.resolution, isTraining: isTraining)
}

/// Calls `body` with this rank's share of the validation images, once through; `body` may not communicate. Collective.
/// - Throws: `PeerFailure` if `body` throws on any rank; `Interrupted` if a signal arrives meanwhile.
private func forEachValidationBatch(
  of dataset: (any ImageDataset)?, recipe: TokenizerRecipe, batchSize: Int, communicator: any Communicator,
  interruption: Interruption, _ body: (ImageBatch) throws -> Void
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
  for _ in 0..<steps {
    try communicator.collectively("validating") {
      let batch = try loader.next()
      // The last step may have images for some ranks only.
      if batch.count > 0 { try body(batch) }
    }
    try interruption.check(communicator, during: "validating")
  }
}
