import Foundation

/// The learning rate as a pure function of the step: resuming needs no schedule state.
///
/// A linear warm-up of `warmupSteps` from `warmupFactor·base` to `base`, then `shape` over the remaining steps.
public struct LearningRateSchedule: Sendable, Equatable {
  /// The course after the warm-up.
  public enum Shape: Sendable, Equatable {
    /// Stays at the base.
    case constant
    /// Multiplies by `factor` at each of the steps.
    case drops(at: [Int], factor: Double)
    /// Half a cosine from the base to `finalFactor·base` at the last step.
    case cosine(finalFactor: Double)
    /// At the base for the first `flatShare` of the steps after warm-up, then linear to `finalFactor·base` at the last.
    case flatThenLinear(flatShare: Double, finalFactor: Double)
  }

  /// The learning rate that factors multiply.
  public var base: Double
  /// Steps of the run; the shapes that end somewhere end at the last one.
  public var totalSteps: Int
  /// Steps of the warm-up; step `warmupSteps` is the first at full rate.
  public var warmupSteps: Int
  /// Where the warm-up starts, as a share of the base.
  public var warmupFactor: Double
  /// The course after the warm-up.
  public var shape: Shape

  /// Creates a schedule.
  public init(
    base: Double, totalSteps: Int, warmupSteps: Int = 0, warmupFactor: Double = 0, shape: Shape = .constant
  ) {
    self.base = base
    self.totalSteps = totalSteps
    self.warmupSteps = warmupSteps
    self.warmupFactor = warmupFactor
    self.shape = shape
  }

  /// The learning rate of the update that follows `completedSteps` updates.
  public func learningRate(at completedSteps: Int) -> Double { base * factor(at: completedSteps) }

  /// The share of the base that applies to the update that follows `completedSteps` updates.
  public func factor(at completedSteps: Int) -> Double {
    if completedSteps < warmupSteps {
      return warmupFactor + (1 - warmupFactor) * Double(completedSteps) / Double(warmupSteps)
    }
    switch shape {
    case .constant:
      return 1
    case .drops(let steps, let factor):
      return steps.reduce(1) { completedSteps >= $1 ? $0 * factor : $0 }
    case .cosine(let finalFactor):
      return finalFactor + (1 - finalFactor) * 0.5 * (1 + cos(.pi * progress(at: completedSteps)))
    case .flatThenLinear(let flatShare, let finalFactor):
      let progress = progress(at: completedSteps)
      guard progress >= flatShare, flatShare < 1 else { return 1 }
      return finalFactor + (1 - finalFactor) * (1 - progress) / (1 - flatShare)
    }
  }

  /// From 0 at the first step after the warm-up to 1 at the last step of the run, and 1 beyond.
  private func progress(at completedSteps: Int) -> Double {
    let span = totalSteps - 1 - warmupSteps
    guard span > 0 else { return completedSteps > warmupSteps ? 1 : 0 }
    return min(1, Double(completedSteps - warmupSteps) / Double(span))
  }
}
