/// How the size of a batch follows the number of ranks.
public enum ScalingMode: String, Codable, Sendable, CaseIterable {
  /// Every rank has as many samples as ever: the global batch grows.
  case weak
  /// All ranks together have as many samples as ever.
  case strong
}

/// Predictions of one training on more and more ranks.
public struct ScalingCurve: Codable, Sendable, Equatable {
  /// One number of ranks.
  public struct Point: Codable, Sendable, Equatable {
    /// How many ranks.
    public var worldSize: Int
    /// How many nodes they fill.
    public var nodeCount: Int
    /// Samples of a step, of all ranks.
    public var globalBatch: Int
    /// The parts of a step.
    public var step: StepModel.Breakdown
    /// Samples per second per rank, as a share of what the fewest ranks reach.
    public var efficiency: Double
    /// Seconds of the whole training without failures and checkpoints.
    public var trainingSeconds: Double
    /// Seconds of training between checkpoints that lose least (Daly).
    public var checkpointInterval: Double
    /// Expected seconds of the whole training with checkpoints and failures.
    public var expectedSeconds: Double

    /// Samples per second of all ranks.
    public var samplesPerSecond: Double { Double(globalBatch) / step.total }
    /// Expected days.
    public var days: Double { expectedSeconds / 86_400 }
    /// Expected hours of all nodes together.
    public var nodeHours: Double { expectedSeconds / 3600 * Double(nodeCount) }
    /// The share of the expected time that checkpoints and failures take.
    public var lostShare: Double { 1 - trainingSeconds / expectedSeconds }
  }

  /// What is predicted.
  public struct Question: Sendable {
    /// The training.
    public var work: StepWork
    /// Whether the batch grows.
    public var mode: ScalingMode
    /// Samples of a step: of one rank in weak, of all ranks in strong scaling.
    public var batch: Int
    /// Samples of the whole training.
    public var sampleCount: Double
    /// Between nodes.
    public var network: Network
    /// What failures cost.
    public var failures: FailureModel

    /// Asks about a training.
    public init(
      work: StepWork, mode: ScalingMode, batch: Int, sampleCount: Double, network: Network, failures: FailureModel
    ) {
      self.work = work
      self.mode = mode
      self.batch = batch
      self.sampleCount = sampleCount
      self.network = network
      self.failures = failures
    }
  }

  /// From the fewest ranks on.
  public let points: [Point]

  /// Predicts `question` for every shape, given in the order of growing numbers of ranks. In strong scaling, numbers of
  /// ranks that do not divide the batch are left out.
  public init(_ question: Question, by model: StepModel, shapes: [JobShape]) {
    var points: [Point] = []
    var reference: Double?
    for shape in shapes {
      let share = question.batch / shape.worldSize
      guard question.mode == .weak || share * shape.worldSize == question.batch else { continue }
      let samplesPerRank = question.mode == .weak ? question.batch : share
      let step = model.step(
        question.work, samplesPerRank: Double(samplesPerRank), shape: shape, network: question.network)
      let rate = Double(samplesPerRank) / step.total
      let globalBatch = samplesPerRank * shape.worldSize
      let seconds = question.sampleCount / Double(globalBatch) * step.total
      let interval = question.failures.dalyInterval(nodeCount: shape.nodeCount)
      points.append(
        Point(
          worldSize: shape.worldSize, nodeCount: shape.nodeCount, globalBatch: globalBatch, step: step,
          efficiency: rate / (reference ?? rate), trainingSeconds: seconds, checkpointInterval: interval,
          expectedSeconds: question.failures.expectedSeconds(
            seconds, interval: interval, nodeCount: shape.nodeCount)))
      reference = reference ?? rate
    }
    self.points = points
  }

  /// The most ranks up to which none falls below that efficiency.
  public func largestEfficient(_ limit: Double) -> Point? { points.prefix { $0.efficiency >= limit }.last }
}
