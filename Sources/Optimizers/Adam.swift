import CKernels
import Kernels

/// Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) over one range of the parameter arena.
///
/// With `g` the gradient, `t` the one-based step and `λ` the weight decay, every float follows PyTorch's rule:
/// ```
/// m ← m + (1 − β₁)·(g − m)              v ← β₂·v + (1 − β₂)·g²
/// θ ← θ·(1 − lr·λ) − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
/// ```
/// (the coupled form adds `λ·θ` to `g` instead). State exists for `range` only, so with the arena divided among
/// ranks, optimizer memory and time fall with the world size (ZeRO stage 1, Rajbhandari et al., 2020).
public final class Adam {
  /// How weight decay acts.
  public enum WeightDecayForm: String, Codable, Sendable, CaseIterable {
    /// Shrinks the parameters directly: AdamW.
    case decoupled
    /// Is added to the gradient: Adam with L2 regularisation.
    case coupled
  }

  /// The settings that stay the same over a run.
  public struct Settings: Sendable, Equatable {
    /// Decay of the first moment.
    public var beta1: Double
    /// Decay of the second moment.
    public var beta2: Double
    /// Added to the root of the second moment.
    public var epsilon: Double
    /// Weight decay of the floats that no parameter group names.
    public var weightDecay: Float
    /// How weight decay acts.
    public var weightDecayForm: WeightDecayForm

    /// Creates settings; the defaults are those of stage 1 (method section 1.5).
    public init(
      beta1: Double = 0.5, beta2: Double = 0.9, epsilon: Double = 1e-8, weightDecay: Float = 0,
      weightDecayForm: WeightDecayForm = .decoupled
    ) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.weightDecayForm = weightDecayForm
    }
  }

  /// The settings it was created with.
  public let settings: Settings
  /// The floats of the arena that this optimizer updates.
  public let range: Range<Int>
  /// Updates done so far; a checkpoint stores it with the moments.
  public var completedSteps = 0
  /// First moments of `range`, zero at first. Read and written by checkpoints.
  public let firstMoments: UnsafeMutableBufferPointer<Float>
  /// Second moments of `range`, zero at first. Read and written by checkpoints.
  public let secondMoments: UnsafeMutableBufferPointer<Float>
  private let segments: [ParameterGroup]

  /// Creates an optimizer with zero moments.
  /// - Parameters:
  ///   - range: This rank's floats of the arena; may be empty.
  ///   - settings: What stays the same over a run.
  ///   - groups: Ranges of the whole arena that depart from `settings`; parts outside `range` are ignored.
  /// - Precondition: The groups do not overlap.
  public init(range: Range<Int>, settings: Settings = Settings(), groups: [ParameterGroup] = []) {
    self.range = range
    self.settings = settings
    segments = ParameterGroup.segments(of: range, groups: groups, weightDecay: settings.weightDecay)
    firstMoments = .allocateZeroed(count: range.count)
    secondMoments = .allocateZeroed(count: range.count)
  }

  deinit {
    firstMoments.deallocate()
    secondMoments.deallocate()
  }

  /// Updates `values` in place and, in the same pass over memory, their moving average.
  ///
  /// All buffers hold the floats of `range` and nothing else.
  /// - Parameters:
  ///   - values: The parameters.
  ///   - gradients: Their gradients, summed over ranks; they are only read.
  ///   - learningRate: The step's learning rate, before the groups' scales.
  ///   - gradientScale: Multiplies every gradient first, see `GradientClipping` (and gradient accumulation).
  ///   - average: The moving average of the parameters and the decay of this step, if one is kept.
  /// - Precondition: Every buffer has `range.count` floats.
  public func step(
    _ values: UnsafeMutableBufferPointer<Float>, gradients: UnsafeBufferPointer<Float>, learningRate: Double,
    gradientScale: Double = 1, average: (values: UnsafeMutableBufferPointer<Float>, decay: Double)? = nil
  ) {
    require(
      values.count == range.count && gradients.count == range.count
        && average.map { $0.values.count == range.count } ?? true,
      "Adam holds \(range.count) floats; got \(values.count) values, \(gradients.count) gradients"
        + (average.map { " and \($0.values.count) averages" } ?? ""))
    completedSteps += 1
    let rootScale = 1 / (1 - power(settings.beta2, completedSteps)).squareRoot()
    let stepScale = 1 / (1 - power(settings.beta1, completedSteps))
    for segment in segments where segment.learningRateScale != 0 {
      let rate = learningRate * Double(segment.learningRateScale)
      let decay = Double(segment.weightDecay)
      let isDecoupled = settings.weightDecayForm == .decoupled
      let update = kernels_adam(
        gradient_scale: Float(gradientScale), beta1: Float(settings.beta1), beta2: Float(settings.beta2),
        epsilon: Float(settings.epsilon), retained_share: Float(isDecoupled ? 1 - rate * decay : 1),
        coupled_decay: Float(isDecoupled ? 0 : decay), step_size: Float(rate * stepScale),
        root_scale: Float(rootScale), averaging_rate: Float(1 - (average?.decay ?? 1)))
      apply(update, to: segment.range, values, gradients, average?.values)
    }
  }

  private func apply(
    _ update: kernels_adam, to segment: Range<Int>, _ values: UnsafeMutableBufferPointer<Float>,
    _ gradients: UnsafeBufferPointer<Float>, _ average: UnsafeMutableBufferPointer<Float>?
  ) {
    guard let values = values.baseAddress, let gradients = gradients.baseAddress,
      let firstMoments = firstMoments.baseAddress, let secondMoments = secondMoments.baseAddress
    else { return }
    let average = average?.baseAddress
    parallelChunks(segment.count, of: 1 << 16) { chunk in
      var update = update
      let start = segment.lowerBound - range.lowerBound + chunk.lowerBound
      kernels_adam_update(
        &update, chunk.count, gradients + start, values + start, firstMoments + start, secondMoments + start,
        average.map { $0 + start })
    }
  }
}

/// `base` to a positive integer power by repeated squaring, so that every machine gets the same bits.
private func power(_ base: Double, _ exponent: Int) -> Double {
  var result = 1.0
  var square = base
  var remaining = exponent
  while remaining > 0 {
    if remaining & 1 == 1 { result *= square }
    square *= square
    remaining >>= 1
  }
  return result
}

extension UnsafeMutableBufferPointer<Float> {
  /// Zeroed floats aligned to a cache line; even an empty buffer has an address and must be deallocated.
  static func allocateZeroed(count: Int) -> Self {
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Swift.max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    let floats = memory.bindMemory(to: Float.self)
    floats.initialize(repeating: 0)
    return Self(rebasing: floats[..<count])
  }
}
