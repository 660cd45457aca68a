import CKernels
import Kernels

/// The exponential moving average of the weights that evaluation uses: `a ← a + (1 − decay)·(θ − a)`.
///
/// The average itself is a range of floats the caller owns, a copy of the parameters at first. `Adam.step` updates it
/// in its own pass over memory; `update` is for weights that move otherwise.
public struct WeightAverage: Sendable, Equatable {
  /// The decay after the warm-up.
  public var decay: Double
  /// Whether young averages forget faster, so that short runs are not dominated by the initial weights.
  public var isWarmedUp: Bool

  /// Creates an average's rule.
  public init(decay: Double = 0.999, isWarmedUp: Bool = true) {
    self.decay = decay
    self.isWarmedUp = isWarmedUp
  }

  /// The decay of a step: `min(decay, (1 + n)/(10 + n))` with n the one-based step while warming up, else `decay`.
  /// - Parameter completedSteps: Updates done before this one.
  public func decay(at completedSteps: Int) -> Double {
    guard isWarmedUp else { return decay }
    let n = Double(completedSteps + 1)
    return min(decay, (1 + n) / (10 + n))
  }

  /// Moves `average` towards `values` by the rule of step `completedSteps`.
  /// - Precondition: Both hold the same number of floats.
  public func update(
    _ average: UnsafeMutableBufferPointer<Float>, towards values: UnsafeBufferPointer<Float>, completedSteps: Int
  ) {
    require(
      average.count == values.count, "the average holds \(average.count) floats, the weights \(values.count)")
    guard let average = average.baseAddress, let source = values.baseAddress else { return }
    let rate = Float(1 - decay(at: completedSteps))
    parallelChunks(values.count, of: 1 << 16) { chunk in
      kernels_move_average(chunk.count, source + chunk.lowerBound, average + chunk.lowerBound, rate)
    }
  }
}
