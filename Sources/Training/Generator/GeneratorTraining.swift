public import Checkpointing
public import Collectives
import Evaluation
import Foundation
import Generator
import Kernels

/// A whole generator training as a user starts it: codes, model, resumption, loop, curves. Collective throughout.
public struct GeneratorTraining {
  private let recipe: GeneratorRecipe
  private let communicator: any Communicator
  private let reporter: TrainingReporter
  /// Called at every stage of a checkpoint write; for programs that test interruptions.
  public var checkpointObserver: (@Sendable (CheckpointWriter.Stage) -> Void)?

  /// A training by `recipe` on the ranks of `communicator`.
  public init(recipe: GeneratorRecipe, communicator: any Communicator, reporter: TrainingReporter) {
    self.recipe = recipe
    self.communicator = communicator
    self.reporter = reporter
  }

  /// Trains to the end, or until `stop` steps are done; after the last step writes `losses.png`.
  /// - Throws: `ConfigError`, `PeerFailure`, `TrainingError`, `CommunicationError`; on every rank, and the same one
  ///   unless the network itself failed.
  public func run(resume: ResumePolicy = .automatic, stoppingAt stop: Int? = nil) throws -> TrainingEnding {
    _ = try recipe.batch.imagesPerRank(worldSize: communicator.worldSize)
    // The codes come first: they complete the recipe that the run keeps.
    let data = try GeneratorData.open(recipe, communicator: communicator)
    defer { data.stage?.close() }
    let recipe = try recipe.fitted(to: data.properties)
    let stepsPerEpoch = max(1, data.count / recipe.batch.global)
    let totalSteps = recipe.run.totalSteps(stepsPerEpoch: stepsPerEpoch)
    let run = try TrainingRun(
      recipe: recipe, communicator: communicator, reporter: reporter, checkpointObserver: checkpointObserver)
    let communicator = run.communicator
    let baseline = try data.baseline(recipe, communicator: communicator)
    let properties = try data.completedProperties(recipe, communicator: communicator)
    let drawing = communicator.isFirst ? SampleDrawing.ofValidations(recipe, codes: properties, say: run.say) : nil

    return try run.train(
      resume: resume, stoppingAt: stop, totalSteps: totalSteps,
      makeTask: {
        GeneratorTask(
          recipe: recipe, codes: properties, totalSteps: totalSteps, stepsPerEpoch: stepsPerEpoch,
          communicator: communicator,
          validation: data.forEachValidationBatch.map { .init(forEachBatch: $0, baseline: baseline) }, drawing: drawing)
      },
      summary: { task in
        "\(data.description), \(recipe.model.classCount) classes; \(parameterText(task.model.parameterCount)); "
          + "\(totalSteps) steps of \(recipe.batch.global) images on \(communicator.worldSize) ranks of "
          + "\(Threads.count) threads\nguessing codes by their frequency costs "
          + String(format: "%.4f nats per token; learn to do better", baseline.loss)
      },
      makeSource: { data.makeSource(recipe, $0, $1, reporter) },
      finish: { _, directory in
        guard communicator.isFirst else { return }
        try LossPicture(records: MetricsLog.records(of: directory), title: recipe.name).writePNG(
          to: directory.path + "/losses.png")
      })
  }
}
