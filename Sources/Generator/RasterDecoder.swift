import Kernels
import Tensors

/// Decodes a batch of images position by position in raster order, keeping only what MergeAR's tokens see.
///
/// Every image evicts by its own duplicates. With guidance each image has two streams, with and without its class, whose
/// tokens and slots are the same.
public final class RasterDecoder {
  private let weights: DecodingWeights
  private let imageCount: Int
  private let laneCount: Int
  private let cache: CompressedKVCache
  private var contexts: [MergedContext]
  /// The sequence's outputs that predict the next token, shape `[lanes·B, D]`: first all with class, then all without.
  private(set) var hidden: Tensor
  /// Entries that each image's latest token saw, itself included.
  public private(set) var seenEntries: [Int]
  /// Positions decoded so far.
  public private(set) var position = 0

  /// Takes in the class and, in order `raster`, the merge instruction.
  /// - Parameters:
  ///   - weights: The model's, laid out for decoding.
  ///   - classes: One per image.
  ///   - hasUnconditionalStreams: For guidance.
  ///   - keepCounts: One per image, or one for all. Order `raster` alone.
  ///   - window: Instead of the configuration's.
  public init(
    _ weights: DecodingWeights, classes: [Int32], hasUnconditionalStreams: Bool = false, keepCounts: [Int] = [],
    window: Int? = nil
  ) {
    let (config, images) = (weights.config, classes.count)
    require(config.order != .random && images > 0, "RasterDecoder: order \(config.order), \(images) images")
    self.weights = weights
    imageCount = images
    laneCount = hasUnconditionalStreams ? 2 : 1
    cache = CompressedKVCache(streamCount: laneCount * images, layerCount: config.blocks, config: config)
    let isMerged = config.order == .raster
    let prefix = isMerged ? 2 : 1
    contexts = (0..<images).map { _ in
      MergedContext(prefix: prefix, window: isMerged ? window ?? config.window : nil)
    }
    seenEntries = Array(repeating: prefix, count: images)

    let model = weights.model
    let labels = classes + (laneCount == 2 ? Array(repeating: Int32(config.droppedClass), count: images) : [])
    let x = withoutGradient { () -> Tensor in
      let classTokens = model.embedded(classes: labels)
      guard isMerged else { return classTokens }
      require([1, images].contains(keepCounts.count), "RasterDecoder: \(keepCounts.count) keep counts")
      let perImage = keepCounts.count == images ? keepCounts : Array(repeating: keepCounts[0], count: images)
      let perStream = (0..<labels.count).map { perImage[$0 % images] }
      return joined([classTokens, model.mergeInstruction(perStream)])
    }
    let queries = (0..<labels.count).flatMap { stream in
      (0..<prefix).map { CacheQuery(stream: stream, prefix: $0 + 1, own: $0) }
    }
    let y = weights.sequence(
      x.reshaped([queries.count, config.width]), rows: Array(repeating: 0, count: queries.count), queries: queries,
      cache: cache)
    hidden = withoutGradient {
      y.reshaped([labels.count, prefix, config.width]).tokens(prefix - 1..<prefix)
        .reshaped([labels.count, config.width])
    }
  }

  /// Bytes of the key-value cache.
  public var cacheByteCount: Int { cache.byteCount }
  /// Entries of each image that the next token may see.
  public var heldEntries: [Int] { contexts.map(\.heldEntries) }
  /// The representative of every position so far, `B·position` values.
  public var representatives: [Int32] { contexts.flatMap(\.representatives) }

  /// The two factors' logits of the next token, in the order of `hidden`. The second factor's need the first's choice.
  func factors() -> FactorDecoder { FactorDecoder(weights, rowCount: laneCount * imageCount) }

  /// Takes in the next token of every image; after the last one there is nothing left to predict.
  /// - Parameters:
  ///   - codes: `B` codes.
  ///   - representatives: Positions, instead of recognising duplicates by their codes.
  public func append(_ codes: CodePairs, representatives: [Int32]? = nil) {
    let config = weights.config
    require(codes.count == imageCount && position < config.positionCount, "append: \(codes.count) codes")
    let places = contexts.indices.map { image in
      contexts[image].append(
        pre: codes.pre[image], post: codes.post[image], representative: representatives?[image])
    }
    seenEntries = places.map(\.entries)
    position += 1
    guard position < config.positionCount else { return }
    let streams = 0..<laneCount * imageCount
    let queries = streams.map { stream in
      let place = places[stream % imageCount]
      return CacheQuery(stream: stream, prefix: place.entries, own: place.slot)
    }
    let model = weights.model
    let x = withoutGradient { () -> Tensor in
      let embedded = model.embedded(codes, batch: 1)
      return laneCount == 1 ? embedded : joined([embedded, embedded])
    }
    hidden = weights.sequence(
      x.reshaped([streams.count, config.width]), rows: Array(repeating: Int32(position), count: streams.count),
      queries: queries, cache: cache)
  }
}
