public import Collectives
public import DataLoading
import Foundation
import Tensors
public import Tokenizer

/// Stage 1 as the training loop sees it: the tokenizer, its objective and its code statistics.
public final class TokenizerTask: TrainingTask {
  /// The model in training.
  public let model: TokenizerModel
  /// Encoder, source recovery and decoder; then the discriminator, if there is one.
  public let weights: [ShardedWeights]

  /// Optimizer steps of a pass over the training images.
  public let stepsPerEpoch: Int?

  private let recipe: TokenizerRecipe
  private let stage: StageOneStep
  private let communicator: any Communicator
  private let forEachValidationBatch: ValidationPass
  private let picture: ((TokenizerModel) throws -> PixelImage)?
  /// What the codes of the training images say about the codebook.
  let codebook: CodebookStatistics
  /// What the discriminator remembered before the step under way.
  private var memoryBeforeStep: Adversary.Memory?

  /// Calls its argument with this rank's share of the validation images, in batches, once through.
  public typealias ValidationPass = (_ body: (ImageBatch) throws -> Void) throws -> Void

  /// A task with a model of random weights, or of those that the recipe names for its beginning.
  /// - Parameters:
  ///   - recipe: What is trained, and how.
  ///   - totalSteps: Optimizer steps of the whole run.
  ///   - stepsPerEpoch: Optimizer steps in which every image is seen once.
  ///   - communicator: The ranks that share each batch.
  ///   - networks: What the loss needs besides.
  ///   - picture: Draws what a model makes of a few images.
  ///   - forEachValidationBatch: The validation images; none where its argument is never called.
  /// - Throws: `PeerFailure` if the weights for the beginning cannot be read or do not fit.
  public init(
    recipe: TokenizerRecipe, totalSteps: Int, stepsPerEpoch: Int, communicator: any Communicator,
    networks: BroughtNetworks = BroughtNetworks(), picture: ((TokenizerModel) throws -> PixelImage)? = nil,
    forEachValidationBatch: @escaping ValidationPass
  ) throws {
    self.picture = picture
    self.recipe = recipe
    self.stepsPerEpoch = stepsPerEpoch
    self.communicator = communicator
    self.forEachValidationBatch = forEachValidationBatch
    let model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    try communicator.collectively("initializing the encoder") {
      guard let files = try recipe.initialization.encoder.opened(key: "initialization.encoder") else { return }
      try model.initializeEncoder(from: files)
    }
    self.model = model
    codebook = CodebookStatistics(codeBits: recipe.model.codeBits, communicator: communicator)
    func sharded(_ parameters: [(name: String, parameter: Parameter)], _ optimizer: OptimizerConfig) -> ShardedWeights {
      ShardedWeights(
        parameters, config: optimizer,
        schedule: optimizer.learningRateSchedule(totalSteps: totalSteps, stepsPerEpoch: stepsPerEpoch),
        communicator: communicator)
    }
    let generator = sharded(model.parameters, recipe.optimizer)
    guard let settings = recipe.loss.adversarial.settings else {
      weights = [generator]
      stage = StageOneStep(recipe, model: model, networks: networks, adversary: nil, communicator: communicator)
      return
    }
    let adversary = Adversary(settings, seed: recipe.run.seed, ranks: communicator.worldSize) { [communicator] sums in
      try communicator.allReduce(sums, .mean)
    }
    let discriminator = sharded(adversary.namedParameters, recipe.discriminatorOptimizer)
    weights = [generator, discriminator]
    stage = StageOneStep(
      recipe, model: model, networks: networks, adversary: (adversary, discriminator.arena), communicator: communicator)
  }

  /// Forward and backward of this rank's images.
  public func accumulateGradients(
    _ batch: ImageBatch, step: Int, round: Int, of rounds: Int
  ) throws -> [(name: String, value: Double)] {
    let keep = MergeSchedule.keepCount(
      step: step, counts: recipe.model.keepCounts, distribution: recipe.model.keepDistribution)
    let input = StageOneStep.Input(
      images: Tensor(batch), student: Tensor(batch, view: 1), teacher: Tensor(batch, view: 2), labels: batch.labels,
      firstIndex: batch.firstGlobalIndex)
    if round == 0 { memoryBeforeStep = stage.adversary?.player.memory }
    let (values, indices) = try stage.accumulateGradients(
      input, step: step, keep: keep, scale: 1 / Float(rounds), isLast: round == rounds - 1)
    codebook.add(indices)
    return values + [("keepCount", Double(keep))]
  }

  /// Takes the discriminator's statistics back to what they were before the step.
  public func discardStep() {
    if let memoryBeforeStep { _ = stage.adversary?.player.restore(memoryBeforeStep) }
  }

  /// Code statistics of all ranks since the last call.
  public func intervalMetrics() throws -> [(name: String, value: Double)] { try codebook.intervalMetrics() }

  /// Code statistics of all ranks in the epoch that ends now.
  public func epochMetrics() throws -> [(name: String, value: Double)] { try codebook.epochMetrics() }

  /// Mean absolute error, PSNR in dB (mean over images, pixels clamped to `[-1, 1]`), and code statistics over the
  /// validation images at the default keep count.
  public func validate() throws -> [(name: String, value: Double)] {
    var sums = [0.0, 0.0, 0.0]
    let codebook = CodebookStatistics(codeBits: recipe.model.codeBits, communicator: communicator)
    try forEachValidationBatch { batch in
      let images = Tensor(batch)
      let output = withoutGradient { model(images, keep: recipe.model.defaultKeepCount) }
      for sample in 0..<batch.count {
        let error = ImageError(of: output.reconstruction, to: images, sample: sample)
        sums[0] += error.meanAbsolute
        sums[1] += error.peakSignalToNoise
        sums[2] += 1
      }
      codebook.add(output.indices)
    }
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    guard sums[2] > 0 else { return [] }
    return [("l1", sums[0] / sums[2]), ("psnr", sums[1] / sums[2]), ("images", sums[2])]
      + (try codebook.intervalMetrics())
  }

  /// Reconstructions of a few images.
  public func validationPicture() throws -> ValidationPicture? {
    try picture.map { ValidationPicture(.reconstructions, try $0(model)) }
  }

  /// How evenly the codes are used.
  public func distributions() -> [(name: String, values: [Float])] { codebook.distribution.map { [$0] } ?? [] }

  /// What a resumption needs beside the weights; everything random is a function of the step.
  private struct State: Codable {
    /// The codes of the epoch under way; checkpoints of earlier versions have none.
    var epochCodes: String?
    /// What the discriminator remembers beside its weights, where there is one.
    var adversary: Adversary.Memory?
  }

  /// The codes of the epoch under way and the discriminator's statistics, as JSON.
  public func savedState() throws -> String {
    let state = State(epochCodes: try codebook.savedState(), adversary: stage.adversary?.player.memory)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return String(decoding: try encoder.encode(state), as: UTF8.self)
  }

  /// Takes back what `savedState` gave.
  /// - Throws: `ConfigError` if the state lacks the statistics of this recipe's discriminator.
  public func restore(state: String) throws {
    let saved = try JSONDecoder().decode(State.self, from: Data(state.utf8))
    if let codes = saved.epochCodes { try codebook.restore(state: codes) }
    guard let player = stage.adversary?.player else { return }
    guard let memory = saved.adversary, player.restore(memory) else {
      throw ConfigError(
        key: "loss.adversarial", problem: "does not fit the checkpoint: it has no statistics of this discriminator")
    }
  }
}

extension Tensor {
  /// The images of a batch, shape `[B, H, W, 3]`.
  init(_ batch: ImageBatch) {
    self.init(batch.pixels, shape: [batch.count, batch.resolution, batch.resolution, 3])
  }

  /// Another view of a batch, shape `[B, H, W, 3]`; nil where there is none.
  fileprivate init?(_ batch: ImageBatch, view: Int) {
    guard batch.views.indices.contains(view) else { return nil }
    let view = batch.views[view]
    self.init(view.pixels, shape: [batch.count, view.resolution, view.resolution, 3])
  }
}

/// How far a reconstruction is from its image.
struct ImageError {
  /// Mean |x − x̂| with pixels in `[-1, 1]`.
  let meanAbsolute: Double
  /// 10·log10(2² / mean (x − x̂)²), in dB.
  let peakSignalToNoise: Double

  /// Compares sample `sample` of two `[B, H, W, 3]` tensors; the reconstruction is clamped to `[-1, 1]`.
  init(of reconstruction: Tensor, to images: Tensor, sample: Int) {
    let size = images.count / images.shape[0]
    let x = UnsafeBufferPointer(start: images.pointer + sample * size, count: size)
    let y = UnsafeBufferPointer(start: reconstruction.pointer + sample * size, count: size)
    var (absolute, squared) = (0.0, 0.0)
    for index in 0..<size {
      let difference = Double(x[index] - min(1, max(-1, y[index])))
      absolute += abs(difference)
      squared += difference * difference
    }
    meanAbsolute = absolute / Double(size)
    peakSignalToNoise = 10 * log10(4 / max(squared / Double(size), 1e-10))
  }
}
