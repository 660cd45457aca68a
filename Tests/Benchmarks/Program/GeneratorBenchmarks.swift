import Generator
import Kernels
import Layers
import Optimizers
import Tensors

/// The published 12×768 generator on 256 tokens, or another size.
///
/// Options: `--layers` (12), `--factorized-layers` (2), `--width` (768), `--heads` (12), `--grid` (16).
private func generatorConfig(
  _ options: Benchmarks.Options, order: GeneratorConfig.Order
) throws -> GeneratorConfig {
  var config = GeneratorConfig(.base, order: order)
  config.blocks = try options.integer("layers", default: config.blocks)
  config.factorizedBlocks = try options.integer("factorized-layers", default: config.factorizedBlocks)
  config.width = try options.integer("width", default: config.width)
  config.heads = try options.integer("heads", default: config.heads)
  config.gridSize = try options.integer("grid", default: config.gridSize)
  config.keepCounts = [config.positionCount]
  config.dropout = 0
  if let problem = config.problems.first { throw Benchmarks.UsageError("\(problem.key): \(problem.message)") }
  return config
}

/// One training step of the generator in plain raster order: forward, backward, clipping and AdamW.
func generatorStep(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let config = try generatorConfig(options, order: .plain)
  let model = Transformer(config, seed: 0)
  let arena = ParameterArena(model.parameters)
  let adam = Adam(
    range: 0..<arena.count, settings: Adam.Settings(beta1: 0.9, beta2: 0.95, weightDecay: 0.05),
    groups: arena.entries.filter { $0.parameter.shape.count < 2 }.map { ParameterGroup(range: $0.range) })
  let batch = try options.integer("batch", default: 4)
  var random = SplitMix64(seed: 1)
  let codes = CodePairs(
    codes: (0..<batch * config.positionCount).map { _ in Int32.random(in: 0..<1 << 18, using: &random) }, preBits: 6)
  let classes = (0..<batch).map { _ in Int32.random(in: 0...1000, using: &random) }
  let recomputation = try options.recomputation()
  return {
    Recomputation.$current.withValue(recomputation) {
      GeneratorLoss(model.plain(codes, classes: classes), codes).total.backward()
    }
    arena.finishGradients()
    let gradients = UnsafeBufferPointer(arena.gradients)
    let clipping = GradientClipping.outcome(sumOfSquares: GradientClipping.sumOfSquares(gradients), limit: 1)
    adam.step(arena.values, gradients: gradients, learningRate: 3e-4, gradientScale: clipping.scale)
    arena.startStep()
  }
}

/// Sampling in plain raster order with guidance 2, temperature 1, no filters. Option: `--batch` (8).
func generatorSample(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let sampler = Sampler(Transformer(try generatorConfig(options, order: .plain), seed: 0))
  let classes = (0..<Int32(try options.integer("batch", default: 8))).map { $0 }
  var sampling = SamplingOptions()
  (sampling.pre.guidance, sampling.post.guidance) = (2, 2)
  return { _ = sampler.sample(classes: classes, images: Array(classes.indices), options: sampling) }
}

/// Decoding of all positions with guidance through the cache of MergeAR, tokens given: `--distinct` (256) of them differ.
/// Prints the size of the cache.
func generatorCache(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let config = try generatorConfig(options, order: .raster)
  let weights = DecodingWeights(Transformer(config, seed: 0))
  let distinct = try options.integer("distinct", default: config.positionCount)
  let batch = try options.integer("batch", default: 8)
  return {
    let decoder = RasterDecoder(
      weights, classes: (0..<Int32(batch)).map { $0 }, hasUnconditionalStreams: true, keepCounts: [distinct],
      window: 2)
    for position in 0..<config.positionCount {
      // Duplicates spread evenly: position n belongs to token n·distinct/L.
      let token = position * distinct / config.positionCount
      let first = (token * config.positionCount + distinct - 1) / distinct
      let codes = CodePairs(
        pre: Array(repeating: Int32(token % 64), count: batch), post: Array(repeating: Int32(token / 64), count: batch))
      decoder.append(codes, representatives: Array(repeating: Int32(first), count: batch))
    }
    let megabytes = Double(decoder.cacheByteCount) / 1e6
    print("cache \(megabytes) MB, at most \(decoder.seenEntries.max() ?? 0) entries an image")
  }
}
