import Collectives
import DataLoading
import Kernels
import Layers
import Optimizers
import Tensors
import Tokenizer
import Training

/// The published G+R-d64, or another size. Options: `--resolution` (256), `--keep` (144 of 256), `--channels` (64) and the
/// `--multiplier` (8) of it that no level is wider than.
private func tokenizerConfig(_ options: Benchmarks.Options) throws -> TokenizerConfig {
  var config = TokenizerConfig()
  config.resolution = try options.integer("resolution", default: config.resolution)
  config.channels = try options.integer("channels", default: config.channels)
  let multiplier = try options.integer("multiplier", default: .max)
  config.channelMultipliers = config.channelMultipliers.map { min($0, multiplier) }
  config.defaultKeepCount = try options.integer("keep", default: config.defaultKeepCount)
  config.keepCounts = [config.defaultKeepCount]
  if let problem = config.problems.first { throw Benchmarks.UsageError("\(problem.key): \(problem.message)") }
  return config
}

/// One training step of the tokenizer by itself: forward, backward and Adam, with L1 + entropy + commitment.
func tokenizerStep(_ options: Benchmarks.Options) throws -> () throws -> Void {
  var config = try tokenizerConfig(options)
  // The peer trains neither the source recovery nor the head in this step; the head's parameters exist in both.
  config.recoveryWidth = 0
  let model = TokenizerModel(config, seed: 0)
  let arena = ParameterArena(model.parameters)
  let adam = Adam(range: 0..<arena.count, settings: Adam.Settings(beta1: 0.5, beta2: 0.9))
  let objective = TokenizerObjective(source: 0)
  var random = SplitMix64(seed: 1)
  let images = Tensor.uniform(
    in: -1...1, shape: [try options.integer("batch", default: 2), config.resolution, config.resolution, 3],
    using: &random)
  let recomputation = try options.recomputation()
  return {
    try Recomputation.$current.withValue(recomputation) {
      try objective(model(images, keep: config.defaultKeepCount), images: images, model: model).total.backward()
    }
    arena.finishGradients()
    adam.step(arena.values, gradients: UnsafeBufferPointer(arena.gradients), learningRate: 1e-4)
    arena.startStep()
  }
}

/// One training step of stage 1 as `mergevq tokenizer train` does it, but for the alignment with a teacher: the tokenizer
/// with source recovery, LPIPS (of random weights) and PatchGAN with the adaptive weight; both players' updates and the
/// weights' average.
func tokenizerFullStep(_ options: Benchmarks.Options) throws -> () throws -> Void {
  var recipe = TokenizerRecipe()
  recipe.run.steps = 1000
  recipe.model = try tokenizerConfig(options)
  recipe.loss.perceptual.weight = 1
  recipe.loss.adversarial.weight = 0.8
  recipe.loss.adversarial.adaptive = true
  try recipe.validate()
  let batch = try BatchLoader(
    dataset: DrawnImages(count: 1000, resolution: recipe.model.resolution),
    options: LoaderOptions(
      batchSize: options.integer("batch", default: 2), views: [ViewOptions(resolution: recipe.model.resolution)]),
    order: .sequential
  ).next()
  var random = SplitMix64(seed: 1)
  let task = try TokenizerTask(
    recipe: recipe, totalSteps: 1000, stepsPerEpoch: 1000, communicator: SingleCommunicator(),
    networks: BroughtNetworks(perceptual: PerceptualLoss(using: &random)), forEachValidationBatch: { _ in })
  let recomputation = try options.recomputation()
  var step = 0
  return {
    _ = try Recomputation.$current.withValue(recomputation) {
      try task.accumulateGradients(batch, step: step, round: 0, of: 1)
    }
    for weights in task.weights { _ = try weights.update(step: step, sumOfSquares: weights.reduceGradients()) }
    step += 1
  }
}

/// The entropy and commitment losses of 2^18 codes, forward and backward. Options: `--batch` (1), `--tokens` (512).
func lookupFreeQuantization(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let tokens = try options.integer("batch", default: 1) * options.integer("tokens", default: 512)
  var random = SplitMix64(seed: 1)
  let latent = Tensor.normal(shape: [tokens, 18], using: &random)
  return {
    let z = latent.trackingGradient
    let entropies = lookupFreeEntropy(z)
    (0.1 * (entropies.sampleEntropy - entropies.batchEntropy) + 0.25 * commitmentLoss(z)).backward()
  }
}
