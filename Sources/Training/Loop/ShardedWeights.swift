public import Collectives
import Kernels
public import Optimizers
public import Tensors

/// One set of trained parameters with everything that moves them: gradients, Adam, learning-rate schedule, average.
///
/// Every rank holds all values and all gradients of a step, but Adam's moments and the average only for its own range
/// (ZeRO stage 1): a step is reduce-scatter → clip by the global norm → Adam on the own range → all-gather.
public final class ShardedWeights {
  /// What an update did.
  public struct Update: Sendable {
    /// Global L2 norm of the gradients, before clipping.
    public var gradientNorm: Double
    /// The learning rate of the step.
    public var learningRate: Double
  }

  /// All parameters and gradients.
  public let arena: ParameterArena
  /// Which floats of the arena each rank updates.
  public let plan: ShardPlan
  /// Moments of this rank's range.
  public let optimizer: Adam
  /// The moving average of this rank's range.
  public let average: UnsafeMutableBufferPointer<Float>

  private let schedule: LearningRateSchedule
  private let averageRule: WeightAverage
  private let clipNorm: Double?
  /// How gradients are written in messages between nodes.
  let gradientFormat: WireFormat
  private let communicator: any Communicator
  private let averageStorage: Storage
  /// Reduces gradients while others are still being computed; nil to reduce them all at the end of a step.
  var overlap: OverlappedReduction?

  /// Takes over a model's parameters. Every rank must pass the same ones, with the same values.
  public init(
    _ parameters: [(name: String, parameter: Parameter)], config: OptimizerConfig, schedule: LearningRateSchedule,
    communicator: any Communicator
  ) {
    arena = ParameterArena(parameters)
    plan = ShardPlan(count: arena.count, shardCount: communicator.worldSize)
    let decayed = arena.entries.map { entry in
      ParameterGroup(
        range: entry.range,
        weightDecay: entry.parameter.publishedShape.count >= 2 ? Float(config.weightDecay) : 0)
    }
    optimizer = Adam(range: plan[communicator.rank], settings: config.adam, groups: decayed)
    self.schedule = schedule
    averageRule = config.weightAverage
    clipNorm = config.clipNorm
    gradientFormat = config.gradientFormat
    self.communicator = communicator
    let own = plan[communicator.rank]
    averageStorage = Storage(count: own.count)
    average = UnsafeMutableBufferPointer(start: averageStorage.pointer, count: own.count)
    _ = average.update(fromContentsOf: UnsafeMutableBufferPointer(rebasing: arena.values[own]))
  }

  /// The floats of the arena that this rank updates.
  public var ownRange: Range<Int> { plan[communicator.rank] }

  private var ownValues: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(rebasing: arena.values[ownRange])
  }

  /// Forgets all gradients.
  func startStep() {
    arena.startStep()
    overlap?.startStep()
  }

  /// Sums the squares of this rank's own gradients, all of them, before they meet those of other ranks: not finite
  /// exactly if one of them is not.
  func localSumOfSquares() -> Double {
    arena.finishGradients()
    if let overlap { return overlap.submitRest() }
    return GradientClipping.sumOfSquares(UnsafeBufferPointer(arena.gradients))
  }

  /// Takes the mean of the gradients over the ranks, each rank for its own range; returns the sum of squares of that.
  /// Collective.
  ///
  /// The sums of all ranks together are the square of the global norm, so once they are added up every rank knows of a
  /// gradient that is not finite, and none has changed anything yet.
  public func reduceGradients() throws(CommunicationError) -> Double {
    arena.finishGradients()
    if let overlap {
      try overlap.wait()
    } else {
      try communicator.reduceScatter(arena.gradients, ranges: plan.ranges, .mean, format: gradientFormat)
    }
    return GradientClipping.sumOfSquares(ownGradients)
  }

  /// Applies the reduced gradients: clips them by their global norm, moves the own range, and gathers the others.
  /// Collective.
  /// - Parameters:
  ///   - step: Steps done before this one.
  ///   - sumOfSquares: What `reduceGradients` gave, summed over the ranks; finite.
  public func update(step: Int, sumOfSquares: Double) throws(CommunicationError) -> Update {
    let clipping = GradientClipping.outcome(sumOfSquares: sumOfSquares, limit: clipNorm)
    let learningRate = schedule.learningRate(at: step)
    optimizer.step(
      ownValues, gradients: ownGradients, learningRate: learningRate, gradientScale: clipping.scale,
      average: (average, averageRule.decay(at: step)))
    // A validation may use the gradients' memory.
    arena.startStep()
    try communicator.allGather(arena.values, ranges: plan.ranges)
    return Update(gradientNorm: clipping.norm, learningRate: learningRate)
  }

  /// Counts a step that changes nothing. Adam's correction of young moments follows the number of steps, skipped ones
  /// included, so that a resumed run, which knows only that number, is in the same state.
  func skipUpdate() { optimizer.completedSteps += 1 }

  private var ownGradients: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(UnsafeMutableBufferPointer(rebasing: arena.gradients[ownRange]))
  }

  /// Runs `body` with the averaged weights in place of the trained ones, which take the average's place meanwhile, so
  /// that this needs no memory. Collective.
  ///
  /// `body` may not throw on one rank alone, see `Communicator.collectively`.
  public func withAverage<Result>(_ body: () throws -> Result) throws -> Result {
    try exchangeWithAverage()
    let result = Swift.Result { try body() }
    try exchangeWithAverage()
    return try result.get()
  }

  private func exchangeWithAverage() throws(CommunicationError) {
    let values = ownValues
    for index in average.indices { swap(&values[index], &average[index]) }
    try communicator.allGather(arena.values, ranges: plan.ranges)
  }
}
