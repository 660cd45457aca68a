import Kernels
import Layers
import Optimizers
import Tensors
import Tokenizer

/// One training step of the published G+R-d64: forward, backward and Adam, with L1 + entropy + commitment.
///
/// Options: `--resolution` (256), `--keep` (144 of 256).
func tokenizerStep(_ options: Benchmarks.Options) throws -> () throws -> Void {
  var config = TokenizerConfig()
  config.resolution = try options.integer("resolution", default: 256)
  // The peer trains neither the source recovery nor the head in this step; the head's parameters exist in both.
  config.recoveryWidth = 0
  let keep = try options.integer("keep", default: 144)
  config.keepCounts = [keep]
  config.defaultKeepCount = keep
  if let problem = config.problems.first { throw Benchmarks.UsageError("\(problem.key): \(problem.message)") }

  let model = TokenizerModel(config, seed: 0)
  let arena = ParameterArena(model.parameters)
  let adam = Adam(range: 0..<arena.count, settings: Adam.Settings(beta1: 0.5, beta2: 0.9))
  let objective = TokenizerObjective(source: 0)
  var random = SplitMix64(seed: 1)
  let images = Tensor.uniform(
    in: -1...1, shape: [options.batch ?? 2, config.resolution, config.resolution, 3], using: &random)
  let recomputation = try options.recomputation
  return {
    arena.startStep()
    try Recomputation.$current.withValue(recomputation) {
      try objective(model(images, keep: keep), images: images, model: model).total.backward()
    }
    arena.finishGradients()
    adam.step(arena.values, gradients: UnsafeBufferPointer(arena.gradients), learningRate: 1e-4)
  }
}

/// The entropy and commitment losses of 2^18 codes, forward and backward. Option: `--tokens` (512).
func lookupFreeQuantization(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let tokens = try options.integer("tokens", default: options.batch ?? 512)
  var random = SplitMix64(seed: 1)
  let latent = Tensor.normal(shape: [tokens, 18], using: &random)
  return {
    let z = latent.trackingGradient
    let entropies = lookupFreeEntropy(z)
    (0.1 * (entropies.sampleEntropy - entropies.batchEntropy) + 0.25 * commitmentLoss(z)).backward()
  }
}
