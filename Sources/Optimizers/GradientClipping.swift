import CKernels
import Kernels

/// Clipping of gradients by their global norm (Pascanu et al., 2013), for arenas divided among ranks.
///
/// Every rank takes `sumOfSquares` of its own range, the caller all-reduces the sums, and all ranks derive the same
/// `Outcome` from the total. A NaN or an infinity on one rank reaches all of them through the sum.
public enum GradientClipping {
  /// What to do with the gradients of a step; the same on every rank.
  public struct Outcome: Sendable, Equatable {
    /// L2 norm of all gradients before clipping; NaN or infinite if any gradient is.
    public let norm: Double
    /// What `Adam.step` multiplies the gradients by, at most 1.
    public let scale: Double
  }

  /// Sum of the squares of `gradients`, exact to double rounding and with the same bits on every CPU and any
  /// number of threads.
  public static func sumOfSquares(_ gradients: UnsafeBufferPointer<Float>) -> Double {
    guard let base = gradients.baseAddress else { return 0 }
    return parallelSum(gradients.count) { kernels_sum_of_squares($0.count, base + $0.lowerBound) }
  }

  /// The norm and scale of a step whose gradients have the total `sumOfSquares`.
  ///
  /// As PyTorch's `clip_grad_norm_`: `scale = min(1, limit / (norm + 1e-6))`.
  /// - Parameters:
  ///   - sumOfSquares: Summed over all ranks.
  ///   - limit: The largest norm that is left alone; nil clips nothing.
  ///   - gradientScale: What the gradients will be multiplied by besides (e.g. 1 / accumulation); part of the norm and
  ///     of the returned scale.
  public static func outcome(sumOfSquares: Double, limit: Double?, gradientScale: Double = 1) -> Outcome {
    let norm = sumOfSquares.squareRoot() * abs(gradientScale)
    let clipping = limit.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    return Outcome(norm: norm, scale: gradientScale * clipping)
  }
}
