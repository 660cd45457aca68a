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
  private let communicator: any Communicator
  private let averageStorage: Storage

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

  /// Applies the gathered gradients: the mean over ranks, clipped. Collective.
  ///
  /// The norm is the same number on every rank, so all ranks see a gradient that is not finite, and none has changed
  /// anything yet.
  /// - Throws: `TrainingError.nonFiniteGradient` on every rank alike; `CommunicationError`.
  public func update(step: Int) throws -> Update {
    arena.finishGradients()
    try communicator.reduceScatter(arena.gradients, ranges: plan.ranges, .mean)
    let own = UnsafeBufferPointer(UnsafeMutableBufferPointer(rebasing: arena.gradients[ownRange]))
    let sumOfSquares = try communicator.allReduce(GradientClipping.sumOfSquares(own), .sum)
    let clipping = GradientClipping.outcome(sumOfSquares: sumOfSquares, limit: clipNorm)
    guard clipping.isFinite else { throw TrainingError.nonFiniteGradient(step: step) }
    let learningRate = schedule.learningRate(at: step)
    optimizer.step(
      ownValues, gradients: own, learningRate: learningRate, gradientScale: clipping.scale,
      average: (average, averageRule.decay(at: step)))
    try communicator.allGather(arena.values, ranges: plan.ranges)
    return Update(gradientNorm: clipping.norm, learningRate: learningRate)
  }

  /// Runs `body` with the averaged weights in place of the trained ones. Collective.
  ///
  /// `body` may not throw on one rank alone, see `Communicator.collectively`.
  public func withAverage<Result>(_ body: () throws -> Result) throws -> Result {
    let trained = Storage(count: ownRange.count)
    copy(trained.pointer, from: ownValues)
    _ = ownValues.update(fromContentsOf: average)
    try communicator.allGather(arena.values, ranges: plan.ranges)
    let result = Swift.Result { try body() }
    _ = ownValues.update(fromContentsOf: UnsafeBufferPointer(start: trained.pointer, count: ownRange.count))
    try communicator.allGather(arena.values, ranges: plan.ranges)
    return try result.get()
  }

  private func copy(_ target: UnsafeMutablePointer<Float>, from source: UnsafeMutableBufferPointer<Float>) {
    guard let start = source.baseAddress else { return }
    target.update(from: start, count: source.count)
  }
}

/// Why training cannot go on. Thrown on every rank alike.
public enum TrainingError: AgreedError, Equatable, CustomStringConvertible {
  /// The gradients of a step are not finite.
  case nonFiniteGradient(step: Int)

  /// Restarting would not help.
  public var exitStatus: Int32 { 70 }

  /// What happened and what may help.
  public var description: String {
    switch self {
    case .nonFiniteGradient(let step):
      "step \(step): the gradients are not finite; no parameter was changed. "
        + "Lower optimizer.learningRate or set optimizer.clipNorm, and start again: the run resumes before this step"
    }
  }
}
