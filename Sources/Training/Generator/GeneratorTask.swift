import Collectives
import Evaluation
import Foundation
import Generator
import Tensors
import Tokenizer

/// Stage 2 as the training loop sees it: the generator and its cross-entropies.
final class GeneratorTask: TrainingTask {
  /// The model in training.
  let model: Transformer
  /// One set of weights.
  let weights: [ShardedWeights]

  private let recipe: GeneratorRecipe
  private let codes: CodeProperties
  private let communicator: any Communicator
  private let validation: ValidationData?
  /// What draws samples at validations; nil on all ranks but one, and where none are to be drawn.
  private let drawing: SampleDrawing?

  /// What validation needs.
  struct ValidationData {
    /// Calls its argument with this rank's share of the validation codes, in batches, once through.
    let forEachBatch: (_ body: (CodeBatch) throws -> Void) throws -> Void
    /// How well guessing by frequency does.
    let baseline: UnigramBaseline
  }

  /// A task with a model of random weights.
  /// - Parameter recipe: Fitted to the codes.
  init(
    recipe: GeneratorRecipe, codes: CodeProperties, totalSteps: Int, stepsPerEpoch: Int,
    communicator: any Communicator, validation: ValidationData?, drawing: SampleDrawing? = nil
  ) {
    self.recipe = recipe
    self.codes = codes
    self.communicator = communicator
    self.validation = validation
    self.drawing = drawing
    model = Transformer(recipe.model, seed: recipe.run.seed)
    weights = [
      ShardedWeights(
        model.parameters, config: recipe.optimizer,
        schedule: recipe.optimizer.learningRateSchedule(totalSteps: totalSteps, stepsPerEpoch: stepsPerEpoch),
        communicator: communicator)
    ]
  }

  /// Forward and backward of this rank's codes.
  func accumulateGradients(
    _ batch: CodeBatch, step: Int, round: Int, of rounds: Int
  ) throws -> [(name: String, value: Double)] {
    let draws = TrainingDraws(seed: recipe.run.seed, firstSample: batch.firstGlobalIndex)
    let loss = model.loss(of: batch, classes: draws.dropping(batch.labels, config: recipe.model), draws: draws)
    StepTimeline.current?.enter("backward")
    loss.total.backward(scale: 1 / Float(rounds), announcing: round == rounds - 1)
    return [
      ("loss", Double(loss.total.item)), ("pre", Double(loss.pre.item)), ("post", Double(loss.post.item)),
      ("keepCount", Double(batch.keepCount)),
    ]
  }

  /// None: everything is said with every step.
  func intervalMetrics() -> [(name: String, value: Double)] { [] }

  /// Cross-entropies over the validation codes with their classes, in nats per predicted token and per kept token, and
  /// the loss of guessing by frequency.
  func validate() throws -> [(name: String, value: Double)] {
    guard let validation else { return [] }
    var sums = [0.0, 0.0, 0.0, 0.0]
    try communicator.collectively("validating") {
      try validation.forEachBatch { batch in
        let loss = withoutGradient { model.loss(of: batch, classes: batch.labels, draws: nil) }
        let tokens = Double(batch.targets(order: recipe.model.order).count)
        sums[0] += Double(loss.pre.item) * tokens
        sums[1] += Double(loss.post.item) * tokens
        sums[2] += tokens
        sums[3] += Double(batch.codes.count)
      }
    }
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    guard sums[2] > 0 else { return [] }
    return [
      ("loss", (sums[0] + sums[1]) / sums[2]), ("pre", sums[0] / sums[2]), ("post", sums[1] / sums[2]),
      ("natsPerKeptToken", (sums[0] + sums[1]) / sums[3]), ("unigram", validation.baseline.loss), ("tokens", sums[2]),
    ]
  }

  /// How many images a validation draws, and what guides them, as a user's first samples might be: what matters is that
  /// they are the same images every time.
  static let (sampleCount, sampleGuidance) = (8, Float(2))

  /// Samples of classes from the first to the last, always by the same random numbers.
  func validationPicture() throws -> ValidationPicture? {
    guard let drawing else { return nil }
    let samples = (0..<Self.sampleCount).map { number in
      let label = number * recipe.model.classCount / Self.sampleCount
      return SampleDrawing.Sample(label: label, number: number, title: codes.classes.label(of: label))
    }
    let images = drawing.images(of: samples, by: Generator.Sampler(model), config: recipe.model)
    return ValidationPicture(
      .samples,
      LabelledGrid(
        title: "\(recipe.name): guidance \(Self.sampleGuidance), \(drawing.options.keepCount) tokens",
        images: images, labels: samples.map(\.title), columns: Self.sampleCount / 2
      ).image())
  }

  /// What the codes are like: sampling needs it, and a resumed run must learn from the same kind.
  func savedState() throws -> String { String(decoding: try JSONEncoder().encode(codes), as: UTF8.self) }

  /// Checks that the checkpoint learned from codes of the same tokenizer.
  func restore(state: String) throws {
    let saved = try JSONDecoder().decode(CodeProperties.self, from: Data(state.utf8))
    guard saved.tokenizer == codes.tokenizer else {
      throw CodeFileError(
        path: recipe.data.codes ?? "images",
        problem:
          "the checkpoint learned codes of \(saved.tokenizer.text), these are of \(codes.tokenizer.text); use the "
          + "codes of that tokenizer, or another run.directory")
    }
  }
}

extension Transformer {
  /// The cross-entropies of a batch in the model's order of generation.
  /// - Parameters:
  ///   - classes: The classes that the model is told, one per image.
  ///   - draws: Dropout and the random order of tokens; without, nothing is dropped and the order has a fixed seed.
  func loss(of batch: CodeBatch, classes: [Int32], draws: TrainingDraws?) -> GeneratorLoss {
    let preBits = config.factorBits[0]
    switch config.order {
    case .plain:
      let codes = CodePairs(codes: batch.expandedCodes, preBits: preBits)
      return GeneratorLoss(plain(codes, classes: classes, draws: draws), codes)
    case .raster:
      let codes = CodePairs(codes: batch.expandedCodes, preBits: preBits)
      let logits = merged(
        codes, classes: classes, keepCounts: [batch.keepCount],
        representatives: MergeMask.representatives(groups: batch.groups, length: config.positionCount), draws: draws)
      return GeneratorLoss(logits, codes)
    case .random:
      let orders = (draws ?? TrainingDraws(seed: 0, firstSample: batch.firstGlobalIndex))
        .orders(batch: batch.count, count: batch.keepCount)
      let arranged = RandomOrder.arrangement(
        CodePairs(codes: batch.codes, preBits: preBits), groups: batch.groups, orders: orders, batch: batch.count)
      let logits = randomOrder(arranged.codes, classes: classes, cells: arranged.cells, draws: draws)
      return GeneratorLoss(logits, arranged.codes)
    }
  }
}
