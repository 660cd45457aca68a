/// How batches are made from a data set.
public struct LoaderOptions: Codable, Sendable, Equatable {
  /// Images per rank and batch.
  public var batchSize: Int
  /// What the model sees of each image; usually one view.
  public var views: [ViewOptions]
  /// Decides the order and all chance.
  public var seed: UInt64
  /// Threads that read, decode and resize.
  public var threadCount: Int
  /// How many finished batches may wait; bounds the memory.
  public var prefetchCount: Int
  /// Images whose header claims more pixels are skipped as unusable.
  public var pixelLimit: Int
  /// Whether JPEGs may be decoded at 1/2, 1/4 or 1/8 where every view is smaller than that.
  public var allowsScaledDecoding: Bool
  /// How shards are shuffled; `nil` shuffles all images, wherever they lie. Means nothing to data sets without shards.
  public var shardShuffle: ShardShuffle?
  /// Loading stops with an error when more than this share of the images is unusable.
  public var allowedBadShare: Double
  /// The share is taken of at least this many images, so that one bad image among the first few stops nothing.
  public var badShareMinimumCount: Int

  /// Batches of `batchSize` images in one view, unless told otherwise.
  public init(
    batchSize: Int, views: [ViewOptions] = [ViewOptions()], seed: UInt64 = 0, threadCount: Int = 1,
    prefetchCount: Int = 2, pixelLimit: Int = DecodingOptions().pixelLimit, allowsScaledDecoding: Bool = false,
    shardShuffle: ShardShuffle? = nil, allowedBadShare: Double = 0.01, badShareMinimumCount: Int = 200
  ) {
    self.batchSize = batchSize
    self.views = views
    self.seed = seed
    self.threadCount = threadCount
    self.prefetchCount = prefetchCount
    self.pixelLimit = pixelLimit
    self.allowsScaledDecoding = allowsScaledDecoding
    self.shardShuffle = shardShuffle
    self.allowedBadShare = allowedBadShare
    self.badShareMinimumCount = badShareMinimumCount
  }

  /// Why these options make no sense, or `nil`.
  public var problem: String? {
    if batchSize < 1 { return "batchSize is \(batchSize); it must be at least 1" }
    if threadCount < 1 { return "threadCount is \(threadCount); it must be at least 1" }
    if prefetchCount < 1 { return "prefetchCount is \(prefetchCount); it must be at least 1" }
    if pixelLimit < 1 { return "pixelLimit is \(pixelLimit); it must be at least 1" }
    if let problem = shardShuffle?.problem { return problem }
    if !(0...1).contains(allowedBadShare) { return "allowedBadShare is \(allowedBadShare); it must be in 0...1" }
    if views.isEmpty { return "views is empty; there must be at least one" }
    return views.compactMap(\.problem).first
  }

  /// The order of a data set's images under these options.
  public func sampler(for dataset: some ImageDataset) -> Sampler {
    let counts = dataset.shardCounts
    guard let shardShuffle, !counts.isEmpty else { return Sampler(count: dataset.count, seed: seed) }
    return Sampler(shards: ShardedOrder(shardCounts: counts, shuffle: shardShuffle, seed: seed))
  }

  /// What a view shows of an image in an epoch: the same picture as in training.
  public func picture(of image: PixelImage, view: Int, sample: Int, epoch: Int) -> PixelImage {
    let resolution = views[view].resolution
    return PixelImage(
      width: resolution, height: resolution, pixels: pixels(of: image, view: view, sample: sample, epoch: epoch))
  }

  func pixels(of image: PixelImage, view: Int, sample: Int, epoch: Int) -> [UInt8] {
    var random = random(view: view, sample: sample, epoch: epoch)
    return views[view].pixels(of: image, using: &random)
  }

  /// All views of an encoded image; what none of them shows is decoded in part only.
  /// - Throws: `DataError` when the image cannot be decoded.
  func pixels(of image: EncodedImage, sample: Int, epoch: Int) throws(DataError) -> [[UInt8]] {
    var chance = views.indices.map { random(view: $0, sample: sample, epoch: epoch) }
    let resamplings = views.indices.map {
      views[$0].resampling(ofWidth: image.width, height: image.height, using: &chance[$0])
    }
    let pictures = try image.resampled(resamplings)
    return views.indices.map { views[$0].augmented(pictures[$0], using: &chance[$0]) }
  }

  private func random(view: Int, sample: Int, epoch: Int) -> KeyedRandom {
    KeyedRandom(seed: seed, purpose: .view, epoch: epoch, sample: sample, view: view)
  }

  /// Full size, or the smallest decoding that no view has to enlarge.
  var decoding: DecodingOptions {
    let largestSide = views.map(\.neededShorterSide).max()
    return DecodingOptions(pixelLimit: pixelLimit, smallestShorterSide: allowsScaledDecoding ? largestSide : nil)
  }
}

/// In which order a loader goes through its data set.
public enum LoadingOrder: Sendable, Equatable {
  /// Shuffled anew each epoch, without end; `cursor` positions of the run were consumed before.
  case shuffled(cursor: Int)
  /// Each image once, in the order of the data set: for validation. Unusable images are left out, not replaced.
  case sequential
}
