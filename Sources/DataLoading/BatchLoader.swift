/// Loads one rank's batches ahead of training, on threads of its own.
///
/// The batches depend on the data set, the options, the order and the rank, never on the number of threads or on
/// timing. An image that cannot be used is replaced by the next usable one of its epoch (left out in a sequential pass),
/// recorded, and counted; too many of them are an error.
/// Not `Sendable`: one thread takes the batches.
public final class BatchLoader {
  /// Steps of a sequential pass, the same on every rank, so that ranks can do collective work in each; `nil` in
  /// shuffled order, which has no end.
  public let stepCount: Int?
  /// Positions of the run consumed so far by all ranks: the only state needed to go on from here.
  public private(set) var cursor: Int
  /// How long the last call of `next` waited for data.
  public private(set) var lastWait: Duration = .zero
  /// How long all calls of `next` waited for data.
  public private(set) var totalWait: Duration = .zero
  /// Images tried by this rank, unusable ones included.
  public private(set) var seenCount = 0
  /// Images that could not be used, each as often as it came up.
  public private(set) var badCount = 0
  /// Bytes of encoded images that this rank has read for the batches taken; 0 for images that are drawn.
  public private(set) var byteCount = 0
  /// Called, on the thread that takes batches, each time a batch has kept it waiting for another `stallInterval`.
  public var stallHandler: ((DataStall) -> Void)?
  /// How long a batch may take before that is worth a message.
  public var stallInterval = Duration.seconds(10)

  private let plan: BatchPlan
  private let options: LoaderOptions
  private let queue: LoaderQueue
  private var deliveredStepCount = 0
  private var badImages: [BadImage] = []
  private var recordedSamples: Set<Int> = []
  private var isStopped = false

  /// Starts to load.
  /// - Parameters:
  ///   - dataset: Not empty.
  ///   - options: Must have no `problem`.
  ///   - order: Shuffled from a cursor on, or one sequential pass.
  ///   - rank: This one, in `0..<worldSize`.
  ///   - worldSize: Ranks that share each global batch of `worldSize · options.batchSize` images.
  public init(
    dataset: any ImageDataset, options: LoaderOptions, order: LoadingOrder, rank: Int = 0, worldSize: Int = 1
  ) {
    if let problem = options.problem { fatalError("BatchLoader: \(problem)") }
    require(worldSize > 0 && (0..<worldSize).contains(rank), "BatchLoader: there is no rank \(rank) of \(worldSize)")
    self.options = options
    plan = BatchPlan(
      order: order, sampler: options.sampler(for: dataset), batchSize: options.batchSize, rank: rank,
      worldSize: worldSize)
    stepCount = plan.stepCount
    cursor = if case .shuffled(let start) = order { start } else { 0 }
    queue = LoaderQueue(loading: ImageLoading(dataset: dataset, plan: plan, options: options))
    queue.start(threadCount: options.threadCount)
  }

  deinit { stop() }

  /// The next batch, in order; waits until it is there.
  /// - Throws: `DataError` when too large a share of the images cannot be used, or no replacement is found.
  /// - Precondition: Fewer than `stepCount` batches were taken, and the loader is not stopped.
  public func next() throws(DataError) -> ImageBatch {
    require(!isStopped, "BatchLoader: next() after stop()")
    if let stepCount { require(deliveredStepCount < stepCount, "BatchLoader: the pass has only \(stepCount) steps") }
    let clock = ContinuousClock()
    let start = clock.now
    var delivery = queue.next(waitingAtMost: stallInterval)
    while delivery == nil {
      stallHandler?(DataStall(waited: clock.now - start, work: queue.work()))
      delivery = queue.next(waitingAtMost: stallInterval)
    }
    guard let delivery else { fatalError("BatchLoader: no batch after waiting for one") }
    lastWait = clock.now - start
    totalWait += lastWait

    cursor = plan.cursor(afterStep: deliveredStepCount)
    deliveredStepCount += 1
    try account(for: delivery)
    return delivery.batch
  }

  /// The unusable images found since the last call, each only the first time it came up.
  public func drainBadImages() -> [BadImage] {
    defer { badImages = [] }
    return badImages
  }

  /// Ends the loader threads; batches that are ready are dropped. Called when the loader goes away.
  public func stop() {
    guard !isStopped else { return }
    isStopped = true
    queue.stop()
  }

  /// Counts happen when a batch is taken, so that they do not depend on how far the threads are ahead.
  private func account(for delivery: LoaderQueue.Delivery) throws(DataError) {
    seenCount += delivery.batch.count + delivery.badImages.count
    badCount += delivery.badImages.count
    byteCount += delivery.byteCount
    for image in delivery.badImages where recordedSamples.insert(image.sampleIndex).inserted { badImages.append(image) }
    guard let last = delivery.badImages.last else { return }
    let lastReason = "\(last.name): \(last.reason)"
    if let position = delivery.lostPosition {
      throw DataError(
        path: "data",
        reason: .noReplacement(position: position, attempts: plan.candidateCount, lastReason: lastReason))
    }
    let allowed = options.allowedBadShare * Double(max(seenCount, options.badShareMinimumCount))
    if Double(badCount) > allowed {
      throw DataError(
        path: "data",
        reason: .tooManyBadImages(
          bad: badCount, seen: seenCount, allowedShare: options.allowedBadShare, lastReason: lastReason))
    }
  }
}
