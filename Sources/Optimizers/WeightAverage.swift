/// The exponential moving average of the weights that evaluation uses: `a ← a + (1 − decay)·(θ − a)`.
///
/// The average itself is a range of floats the caller owns, a copy of the parameters at first. `Adam.step` updates it
/// in its own pass over memory.
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
}
