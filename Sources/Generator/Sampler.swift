import Kernels
import Tensors

/// Draws images' codes from a generator.
///
/// Every random number is a function of (seed, image number, token, factor), and every image's logits have the same bits
/// whatever images are decoded beside it. So an image depends neither on the batch nor on the rank that draws it.
public final class Sampler {
  /// What was drawn.
  public struct Result {
    /// `B·T` codes: in raster order, or, in order `random`, in the order of generation.
    public var codes: CodePairs
    /// Tokens per image.
    public var tokenCount: Int
    /// Order `random`: the raster cell of every token. Otherwise empty.
    public var cells: [Int32] = []
    /// Raster orders: the first position of each token's code, as the context knew it. Otherwise empty.
    public var representatives: [Int32] = []
    /// The largest size of the key-value cache, in bytes.
    public var cacheByteCount = 0
  }

  private let weights: DecodingWeights
  private var config: GeneratorConfig { weights.config }

  /// Packs the weights that the model has now.
  public init(_ model: Transformer) { weights = DecodingWeights(model) }

  /// Draws one image for each class.
  /// - Parameters:
  ///   - classes: One per image.
  ///   - images: The images' numbers in the whole run, which decide their random numbers.
  ///   - options: Filters, guidance, seed and tokens of an image.
  ///   - cells: Order `random`: `B·keepCount` cells in the order of generation, instead of cells by chance.
  ///   - progress: Called after every step with the tokens that are there and that there will be, per image.
  /// - Precondition: `options.problems(for:)` is empty, and the classes exist.
  public func sample(
    classes: [Int32], images: [Int], options: SamplingOptions, cells: [Int32]? = nil,
    progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) -> Result {
    require(
      classes.count == images.count && !classes.isEmpty
        && classes.allSatisfy { $0 >= 0 && $0 <= config.droppedClass }
        && options.problems(for: config).isEmpty,
      "sample: \(classes.count) classes, \(images.count) images, \(options.problems(for: config))")
    return config.order == .random
      ? sampleRandomOrder(classes, images, options, cells, progress)
      : sampleRaster(classes, images, options, progress)
  }

  /// Takes the memory of the largest cache that drawing may need and gives it back to the pool: for plans.
  /// - Parameters:
  ///   - imageCount: Images drawn at a time.
  ///   - options: As for `sample`.
  /// - Returns: Bytes of that cache.
  @discardableResult
  public func reserveCache(imageCount: Int, options: SamplingOptions) -> Int {
    // All that goes before the last token: class, instruction and positions, where no code repeats, or pairs.
    let entries =
      config.order == .random ? 2 * options.keepCount : (config.order == .plain ? 1 : 2) + config.positionCount - 1
    let cache = CompressedKVCache(
      streamCount: (options.isGuided ? 2 : 1) * imageCount, layerCount: config.blocks, config: config)
    cache.reserve(for: (0..<cache.streamCount).map { CacheQuery(stream: $0, prefix: entries, own: entries - 1) })
    return cache.byteCount
  }

  private func sampleRaster(
    _ classes: [Int32], _ images: [Int], _ options: SamplingOptions, _ progress: (Int, Int) -> Void
  ) -> Result {
    let count = config.positionCount
    let decoder = RasterDecoder(
      weights, classes: classes, hasUnconditionalStreams: options.isGuided, keepCounts: [options.keepCount],
      window: options.window)
    var drawn: [CodePairs] = []
    for position in 0..<count {
      let draws = images.map { Draw(image: $0, token: position) }
      let codes = choose(decoder.hidden, decoder.factors(), draws, options, done: position, of: count)
      drawn.append(codes)
      decoder.append(codes)
      progress(position + 1, count)
    }
    return Result(
      codes: Self.transposed(drawn, images: images.count), tokenCount: count,
      representatives: decoder.representatives, cacheByteCount: decoder.cacheByteCount)
  }

  private func sampleRandomOrder(
    _ classes: [Int32], _ images: [Int], _ options: SamplingOptions, _ cells: [Int32]?,
    _ progress: (Int, Int) -> Void
  ) -> Result {
    let count = options.keepCount
    let cells =
      cells
      ?? images.flatMap {
        RandomOrder.cells(count: count, of: config.positionCount, seed: options.seed, image: $0)
      }
    require(cells.count == images.count * count, "sample: \(cells.count) cells for \(images.count) × \(count) tokens")
    let decoder = RandomOrderDecoder(weights, classes: classes, hasUnconditionalStreams: options.isGuided)
    var (drawn, latest, done) = ([CodePairs](), CodePairs(), 0)
    for step in RandomOrder.schedule(tokens: count, steps: options.steps) {
      let tokens = done..<done + step
      let asked = images.indices.flatMap { image in tokens.map { cells[image * count + $0] } }
      let draws = images.flatMap { image in tokens.map { Draw(image: image, token: $0) } }
      let hidden = decoder.advance(latest, cells: asked)
      latest = choose(
        hidden, decoder.factors(rowCount: hidden.rows), draws, options, done: done, of: count)
      for token in 0..<step {
        drawn.append(latest.positions(token..<token + 1, of: step))
      }
      done += step
      progress(done, count)
    }
    return Result(
      codes: Self.transposed(drawn, images: images.count), tokenCount: count, cells: cells,
      cacheByteCount: decoder.cacheByteCount)
  }

  /// What a draw's random numbers depend on besides the seed.
  private struct Draw {
    let image: Int
    let token: Int
  }

  /// Chooses both factors of one token per draw.
  /// - Parameter hidden: Shape `[lanes·draws, D]`.
  private func choose(
    _ hidden: Tensor, _ factors: FactorDecoder, _ draws: [Draw], _ options: SamplingOptions, done: Int, of count: Int
  ) -> CodePairs {
    let lanes = hidden.rows / draws.count
    let pre = choose(
      factors.preLogits(hidden), draws, options.pre.filter, factor: 0,
      guidance: options.guidance(of: options.pre, done: done, count: count), seed: options.seed)
    let everyLane = Array(repeating: pre, count: lanes).flatMap { $0 }
    let post = choose(
      factors.postLogits(pre: everyLane), draws, options.post.filter, factor: 1,
      guidance: options.guidance(of: options.post, done: done, count: count), seed: options.seed)
    return CodePairs(pre: pre, post: post)
  }

  private func choose(
    _ logits: Tensor, _ draws: [Draw], _ filter: TokenFilter, factor: Int, guidance: Float, seed: UInt64
  ) -> [Int32] {
    let choices = logits.channels
    let isGuided = logits.rows > draws.count
    var result = [Int32](repeating: 0, count: draws.count)
    result.withUnsafeMutableBufferPointer { result in
      nonisolated(unsafe) let result = result
      parallelFor(draws.count) { row in
        let conditional = logits.pointer + row * choices
        if isGuided {
          let unconditional = conditional + draws.count * choices
          for index in 0..<choices {
            conditional[index] = unconditional[index] + guidance * (conditional[index] - unconditional[index])
          }
        }
        var random = SplitMix64(
          seed: seed, 0x6472_6177, UInt64(draws[row].image), UInt64(draws[row].token), UInt64(factor))
        result[row] = Int32(filter.choose(conditional, count: choices, uniform: random.nextUnit()))
      }
    }
    return result
  }

  /// Tokens of all images, one token after another, to images one after another.
  private static func transposed(_ tokens: [CodePairs], images: Int) -> CodePairs {
    CodePairs(
      pre: (0..<images).flatMap { image in tokens.map { $0.pre[image] } },
      post: (0..<images).flatMap { image in tokens.map { $0.post[image] } })
  }
}
