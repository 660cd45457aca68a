public import Tensors

/// Batch normalisation over all ranks, with running statistics for use outside training.
public final class BatchNorm: Module {
  /// Shape `[C]`.
  public let weight: Parameter
  /// Shape `[C]`.
  public let bias: Parameter
  /// Running mean, momentum 0.1.
  public private(set) var runningMean: [Float]
  /// Running unbiased variance, momentum 0.1.
  public private(set) var runningVariance: [Float]
  private let epsilon: Double

  /// Weight 1, bias 0, running statistics 0 and 1.
  public init(channels: Int, epsilon: Double = 1e-5) {
    weight = Parameter(Tensor(repeating: 1, shape: [channels]))
    bias = Parameter(Tensor(repeating: 0, shape: [channels]))
    runningMean = Array(repeating: 0, count: channels)
    runningVariance = Array(repeating: 1, count: channels)
    self.epsilon = epsilon
  }

  /// Normalises by the batch of all ranks, and moves the running statistics, which values that are not finite leave as
  /// they were: the step that such a batch belongs to may be skipped.
  public func training(_ x: Tensor, synchronization: BatchSynchronization) throws -> Tensor {
    let (y, moments) = try batchNorm(
      x, weight: weight.value, bias: bias.value, epsilon: epsilon, ranks: synchronization.ranks,
      averageOverRanks: synchronization.average, failure: synchronization.failure)
    guard (moments.mean + moments.variance).allSatisfy(\.isFinite) else { return y }
    let unbiased = Double(moments.count) / Double(max(1, moments.count - 1))
    for channel in runningMean.indices {
      runningMean[channel] = 0.9 * runningMean[channel] + 0.1 * Float(moments.mean[channel])
      runningVariance[channel] = 0.9 * runningVariance[channel] + 0.1 * Float(moments.variance[channel] * unbiased)
    }
    return y
  }

  /// Takes back running statistics.
  public func setRunning(mean: [Float], variance: [Float]) {
    require(mean.count == runningMean.count && variance.count == runningMean.count, "setRunning: wrong count")
    (runningMean, runningVariance) = (mean, variance)
  }

  /// Visits `weight` and `bias`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("weight", weight)
    body("bias", bias)
  }
}

/// How batch statistics of several ranks become one.
public struct BatchSynchronization {
  /// Ranks that share a batch.
  public var ranks: Int
  /// Averages sums over them; nil for one rank. Collective.
  public var average: RankSumAverage?
  /// Where errors inside `backward` are noted.
  public var failure: RankFailure?

  /// One rank alone, or several.
  public init(ranks: Int = 1, average: RankSumAverage? = nil, failure: RankFailure? = nil) {
    self.ranks = ranks
    self.average = average
    self.failure = failure
  }
}
