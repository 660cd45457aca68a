/// The time of a training step out of measured parts: computing, waiting for data, for the slowest rank, for messages.
public struct StepModel: Codable, Sendable, Equatable {
  /// Seconds that a thread with the machine for itself takes for a floating-point operation of forward and backward.
  public var secondsPerOperation: Double
  /// Seconds for a byte of memory that an update touches, on one thread.
  public var secondsPerUpdateByte: Double
  /// How much longer computing takes while all other cores of the machine compute, too: 0.2 for 20 % more.
  public var contention: Double
  /// Standard deviation of the ranks' computing times in a step, as a share of their mean.
  public var imbalance: Double
  /// Seconds for which a rank waits for a sample.
  public var dataSecondsPerSample: Double
  /// Seconds for a byte that a rank copies or adds through the memory shared within a node.
  public var secondsPerNodeByte: Double

  /// A model out of its parameters.
  public init(
    secondsPerOperation: Double, secondsPerUpdateByte: Double, contention: Double, imbalance: Double,
    dataSecondsPerSample: Double, secondsPerNodeByte: Double
  ) {
    self.secondsPerOperation = secondsPerOperation
    self.secondsPerUpdateByte = secondsPerUpdateByte
    self.contention = contention
    self.imbalance = imbalance
    self.dataSecondsPerSample = dataSecondsPerSample
    self.secondsPerNodeByte = secondsPerNodeByte
  }

  /// The parts of a step, in seconds.
  public struct Breakdown: Codable, Sendable, Equatable {
    /// Computing, on average over the ranks.
    public var compute: Double
    /// Waiting for data.
    public var data: Double
    /// How much longer the slowest rank computes.
    public var imbalance: Double
    /// In collective operations, waiting for slower ranks not included.
    public var communication: Double

    /// A step out of its parts.
    public init(compute: Double, data: Double, imbalance: Double, communication: Double) {
      self.compute = compute
      self.data = data
      self.imbalance = imbalance
      self.communication = communication
    }

    /// The whole step.
    public var total: Double { compute + data + imbalance + communication }
  }

  /// Predicts a step. A rank of t threads counts as t times as fast as one of a single thread. Gradients are reduced when all are complete: what a spare core could hide is not taken off.
  /// - Parameters:
  ///   - work: What is computed and sent.
  ///   - samplesPerRank: Samples of one rank in the whole step.
  ///   - shape: Ranks, nodes and threads.
  ///   - network: What lies between the nodes.
  public func step(_ work: StepWork, samplesPerRank: Double, shape: JobShape, network: Network) -> Breakdown {
    let compute =
      shape.oversubscription * (1 + contention * shape.load)
      * (secondsPerOperation * work.operationsPerSample * samplesPerRank
        + secondsPerUpdateByte * work.updateBytes(worldSize: shape.worldSize)) / Double(shape.threadsPerRank)
    return Breakdown(
      compute: compute, data: dataSecondsPerSample * samplesPerRank,
      imbalance: compute * imbalance * OrderStatistics.expectedMaximum(ofNormals: shape.worldSize),
      communication: communication(work, shape: shape, network: network))
  }

  /// Seconds of a step in collective operations: in each round, the agreement that data has been read and the sum of
  /// statistics; then the reduction of gradients, the agreement on their norm, and the exchange of weights.
  public func communication(_ work: StepWork, shape: JobShape, network: Network) -> Double {
    guard shape.worldSize > 1 else { return 0 }
    let cost = TransferCost(
      shape: shape, network: network, nodeBytesPerSecond: secondsPerNodeByte > 0 ? 1 / secondsPerNodeByte : .infinity)
    let statistics = work.statisticsBytes > 0 ? cost.allReduce(Double(work.statisticsBytes)) : 0
    return Double(work.rounds) * (cost.agreement + statistics) + cost.reduceScatter(work.parameterBytes)
      + cost.allReduce(16) + cost.allGather(work.parameterBytes)
  }
}
