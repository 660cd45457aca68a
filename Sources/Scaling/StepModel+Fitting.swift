/// What a setting of a study was, and what its steps took.
public struct Observation: Sendable, Equatable {
  /// What a step computes and sends.
  public var work: StepWork
  /// How the ranks lay.
  public var shape: JobShape
  /// Samples of one rank in a step.
  public var samplesPerRank: Double
  /// Between the nodes; nil where there was one.
  public var network: Network?
  /// What a step took.
  public var measured: StepModel.Breakdown
  /// Variance of the ranks' computing times within a step, as a share of their squared mean; nil on one rank.
  public var relativeVariance: Double?

  /// Describes a setting.
  public init(
    work: StepWork, shape: JobShape, samplesPerRank: Double, network: Network?, measured: StepModel.Breakdown,
    relativeVariance: Double?
  ) {
    self.work = work
    self.shape = shape
    self.samplesPerRank = samplesPerRank
    self.network = network
    self.measured = measured
    self.relativeVariance = relativeVariance
  }
}

/// Why observations make no model.
public struct FitError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What is missing.
  public let description: String

  /// An error with its description.
  public init(description: String) { self.description = description }
}

extension StepModel {
  /// Fits every parameter to the part of the steps that it explains, by least squares of relative errors.
  ///
  /// - Computing: `oversubscription · (1 + contention · load) · (a · operations + b · update bytes)`; a and b by
  ///   non-negative least squares, contention by golden-section search around them.
  /// - Imbalance: the pooled variance of all observations with several ranks.
  /// - Shared memory: what communication took within one node, or beyond the messages where there were more.
  /// - Throws: `FitError` where nothing was measured, or steps take no time.
  public init(fitting observations: [Observation]) throws(FitError) {
    guard !observations.isEmpty, observations.allSatisfy({ $0.measured.compute > 0 }) else {
      throw FitError(description: "there is no measured step to fit; run a study first")
    }
    self.init(
      secondsPerOperation: 0, secondsPerUpdateByte: 0, contention: 0, imbalance: 0, dataSecondsPerSample: 0,
      secondsPerNodeByte: 0)
    fitComputing(observations)
    let samples = observations.reduce(0) { $0 + $1.samplesPerRank }
    dataSecondsPerSample = observations.reduce(0) { $0 + $1.measured.data } / samples
    let variances = observations.compactMap(\.relativeVariance)
    if !variances.isEmpty { imbalance = (variances.reduce(0, +) / Double(variances.count)).squareRoot() }
    fitSharedMemory(observations)
  }

  private mutating func fitComputing(_ observations: [Observation]) {
    func solve(_ contention: Double) -> (solution: [Double], residual: Double) {
      LeastSquares.nonNegative(
        rows: observations.map { each in
          let factor =
            each.shape.oversubscription * (1 + contention * each.shape.load) / Double(each.shape.threadsPerRank)
          return [
            factor * each.work.operationsPerSample * each.samplesPerRank,
            factor * each.work.updateBytes(worldSize: each.shape.worldSize),
          ]
        },
        values: observations.map(\.measured.compute),
        weights: observations.map { 1 / ($0.measured.compute * $0.measured.compute) })
    }
    // Where the load was always the same, contention cannot be told from speed.
    let loads = Set(observations.map(\.shape.load))
    var (low, high) = loads.count > 1 ? (0.0, 4.0) : (0.0, 0.0)
    let ratio = (5.0.squareRoot() - 1) / 2
    while high - low > 1e-6 {
      let (left, right) = (high - ratio * (high - low), low + ratio * (high - low))
      if solve(left).residual <= solve(right).residual { high = right } else { low = left }
    }
    contention = (low + high) / 2
    let solution = solve(contention).solution
    (secondsPerOperation, secondsPerUpdateByte) = (solution[0], solution[1])
  }

  private mutating func fitSharedMemory(_ observations: [Observation]) {
    let parallel = observations.filter { $0.shape.worldSize > 1 && $0.measured.communication > 0 }
    let single = parallel.filter { $0.shape.nodeCount == 1 }
    let free = Network(name: "free", latency: 0, overhead: 0, bytesPerSecond: .infinity)
    var unit = self
    unit.secondsPerNodeByte = 1
    let used = single.isEmpty ? parallel.filter { $0.network != nil } : single
    let rows = used.map { [unit.communication($0.work, shape: $0.shape, network: free)] }
    let values = used.map { each in
      // Without shared memory, only messages are left.
      max(0, each.measured.communication - communication(each.work, shape: each.shape, network: each.network ?? free))
    }
    guard !used.isEmpty else { return }
    let weights = used.map { 1 / ($0.measured.communication * $0.measured.communication) }
    secondsPerNodeByte = LeastSquares.nonNegative(rows: rows, values: values, weights: weights).solution[0]
  }
}
