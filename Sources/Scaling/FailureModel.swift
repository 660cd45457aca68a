import Foundation

/// What failures of nodes cost a long run, and how often it should write checkpoints.
public struct FailureModel: Codable, Sendable, Equatable {
  /// Mean seconds between failures of one node.
  public var nodeMeanTime: Double
  /// Seconds for which training stands still for a checkpoint.
  public var checkpointSeconds: Double
  /// Seconds from a failure until training goes on at the last checkpoint.
  public var restartSeconds: Double

  /// A model out of its figures.
  public init(nodeMeanTime: Double, checkpointSeconds: Double, restartSeconds: Double) {
    self.nodeMeanTime = nodeMeanTime
    self.checkpointSeconds = checkpointSeconds
    self.restartSeconds = restartSeconds
  }

  /// Mean seconds between failures of a job, which every failing node ends.
  public func meanTime(nodeCount: Int) -> Double { nodeMeanTime / Double(nodeCount) }

  /// Seconds of training between checkpoints by Young (1974): `√(2δM)`.
  public func youngInterval(nodeCount: Int) -> Double {
    (2 * checkpointSeconds * meanTime(nodeCount: nodeCount)).squareRoot()
  }

  /// Seconds of training between checkpoints by Daly (2006), equation 37: `√(2δM)·(1 + ⅓√(δ/2M) + δ/18M) − δ`, and M
  /// where a checkpoint takes 2M or longer.
  public func dalyInterval(nodeCount: Int) -> Double {
    let mean = meanTime(nodeCount: nodeCount)
    guard checkpointSeconds < 2 * mean else { return mean }
    let ratio = checkpointSeconds / (2 * mean)
    return youngInterval(nodeCount: nodeCount) * (1 + ratio.squareRoot() / 3 + ratio / 9) - checkpointSeconds
  }

  /// Expected seconds of a run that would take `seconds` without checkpoints and failures, by Daly (2006), equation 20:
  /// `M·e^{R/M}·(e^{(τ+δ)/M} − 1)·T/τ`, exact for exponential times between failures, those during restarts included.
  /// - Parameters:
  ///   - seconds: Of training alone.
  ///   - interval: Seconds of training between checkpoints.
  ///   - nodeCount: Nodes, any of which may fail.
  public func expectedSeconds(_ seconds: Double, interval: Double, nodeCount: Int) -> Double {
    let mean = meanTime(nodeCount: nodeCount)
    return mean * exp(restartSeconds / mean) * expm1((interval + checkpointSeconds) / mean) * seconds / interval
  }
}
