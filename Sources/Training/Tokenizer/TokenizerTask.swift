public import Collectives
public import DataLoading
import Foundation
import Tensors
public import Tokenizer

/// Stage 1 as the training loop sees it: the tokenizer, its objective and its code statistics.
public final class TokenizerTask: TrainingTask {
  /// The model in training.
  public let model: TokenizerModel
  /// One set of weights: encoder, source recovery and decoder.
  public let weights: [ShardedWeights]

  /// Optimizer steps of a pass over the training images.
  public let stepsPerEpoch: Int?

  private let recipe: TokenizerRecipe
  private let objective: TokenizerObjective
  private let communicator: any Communicator
  private let forEachValidationBatch: ValidationPass
  /// What the codes of the training images say about the codebook.
  let codebook: CodebookStatistics

  /// Calls its argument with this rank's share of the validation images, in batches, once through.
  public typealias ValidationPass = (_ body: (ImageBatch) throws -> Void) throws -> Void

  /// A task with a model of random weights.
  public init(
    recipe: TokenizerRecipe, totalSteps: Int, stepsPerEpoch: Int, communicator: any Communicator,
    forEachValidationBatch: @escaping ValidationPass
  ) {
    self.recipe = recipe
    self.stepsPerEpoch = stepsPerEpoch
    self.communicator = communicator
    self.forEachValidationBatch = forEachValidationBatch
    objective = recipe.loss.objective
    model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    codebook = CodebookStatistics(codeBits: recipe.model.codeBits, communicator: communicator)
    weights = [
      ShardedWeights(
        model.parameters, config: recipe.optimizer,
        schedule: recipe.optimizer.learningRateSchedule(totalSteps: totalSteps, stepsPerEpoch: stepsPerEpoch),
        communicator: communicator)
    ]
  }

  /// Forward and backward of this rank's images.
  public func accumulateGradients(
    _ batch: ImageBatch, step: Int, round: Int, of rounds: Int
  ) throws -> [(name: String, value: Double)] {
    let images = Tensor(batch)
    let keep = MergeSchedule.keepCount(
      step: step, counts: recipe.model.keepCounts, distribution: recipe.model.keepDistribution)
    let depth = StochasticDepth(seed: recipe.run.seed, firstSample: batch.firstGlobalIndex)
    let output = model(images, keep: keep, depth: depth)
    let terms = try objective(output, images: images, model: model) { [communicator] probabilities in
      try communicator.allReduce(probabilities, .mean)
    }
    terms.total.backward(scale: 1 / Float(rounds))
    codebook.add(output.indices)
    var values = [(name: "loss", value: Double(terms.total.item))]
    values += terms.named.map { ($0.name, Double($0.value)) }
    if let accuracy = terms.sourceAccuracy { values.append(("sourceAccuracy", Double(accuracy))) }
    values.append(("keepCount", Double(keep)))
    return values
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
    try communicator.collectively("validating") {
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
    }
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    guard sums[2] > 0 else { return [] }
    return [("l1", sums[0] / sums[2]), ("psnr", sums[1] / sums[2]), ("images", sums[2])]
      + (try codebook.intervalMetrics())
  }

  /// What a resumption needs beside the weights; everything random is a function of the step.
  private struct State: Codable {
    /// The codes of the epoch under way; checkpoints of earlier versions have none.
    var epochCodes: String?
  }

  /// The codes of the epoch under way, as JSON.
  public func savedState() throws -> String {
    let state = State(epochCodes: try codebook.savedState())
    return String(decoding: try JSONEncoder().encode(state), as: UTF8.self)
  }

  /// Takes back what `savedState` gave.
  public func restore(state: String) throws {
    let saved = try JSONDecoder().decode(State.self, from: Data(state.utf8))
    if let codes = saved.epochCodes { try codebook.restore(state: codes) }
  }
}

extension Tensor {
  /// The images of a batch, shape `[B, H, W, 3]`.
  init(_ batch: ImageBatch) {
    self.init(batch.pixels, shape: [batch.count, batch.resolution, batch.resolution, 3])
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
