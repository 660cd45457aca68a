public import Collectives
import Optimizers

/// How parameters follow their gradients: `optimizer` in a recipe. The defaults are those of stage 1
/// (method section 1.5).
public struct OptimizerConfig: ConfigSection {
  /// The learning rate that the schedule multiplies.
  public var learningRate = 1e-4
  /// Decay of Adam's first and second moments.
  public var betas = [0.5, 0.9]
  /// Added to the root of the second moment.
  public var epsilon = 1e-8
  /// Weight decay, on tensors of two and more dimensions only.
  public var weightDecay = 0.0
  /// Whether weight decay shrinks the parameters (AdamW) or adds to their gradients.
  public var weightDecayForm = Adam.WeightDecayForm.decoupled
  /// Gradients with a larger global L2 norm are scaled down to it; nil never.
  public var clipNorm: Double?
  /// How gradients are written in messages between nodes: as they are, or rounded to half the bytes. They are added up
  /// in 32 bits in any case, and within a node nothing is rounded.
  public var gradientFormat = WireFormat.float32
  /// Decay of the moving average of the weights that validation uses.
  public var emaDecay = 0.999
  /// Whether the average forgets faster in its first steps.
  public var emaWarmup = false
  /// The course of the learning rate.
  public var schedule = ScheduleConfig()

  /// The defaults.
  public init() {}

  /// Checks ranges.
  public func validate() throws(ConfigError) {
    try check(learningRate > 0, "learningRate", "is \(learningRate); it must be positive")
    try check(
      betas.count == 2 && betas.allSatisfy { (0..<1).contains($0) }, "betas",
      "is \(betas); it must be two numbers of 0..<1")
    try check(epsilon > 0, "epsilon", "is \(epsilon); it must be positive")
    try check(weightDecay >= 0, "weightDecay", "is \(weightDecay); it must not be negative")
    try check(clipNorm ?? 1 > 0, "clipNorm", "is \(clipNorm ?? 0); it must be positive, or null for no clipping")
    try check((0..<1).contains(emaDecay), "emaDecay", "is \(emaDecay); it must lie in 0..<1")
    try Training.validate("schedule", schedule)
  }

  /// The settings of the optimizer.
  public var adam: Adam.Settings {
    Adam.Settings(
      beta1: betas[0], beta2: betas[1], epsilon: epsilon, weightDecay: Float(weightDecay),
      weightDecayForm: weightDecayForm)
  }

  /// The rule of the weights' moving average.
  public var weightAverage: WeightAverage { WeightAverage(decay: emaDecay, isWarmedUp: emaWarmup) }

  /// The learning rate by step.
  /// - Parameters:
  ///   - totalSteps: Optimizer steps of the run.
  ///   - stepsPerEpoch: Optimizer steps of one pass over the training images.
  public func learningRateSchedule(totalSteps: Int, stepsPerEpoch: Int) -> LearningRateSchedule {
    LearningRateSchedule(
      base: learningRate, totalSteps: totalSteps, warmupSteps: schedule.warmupSteps(stepsPerEpoch: stepsPerEpoch),
      warmupFactor: schedule.warmupFactor, shape: schedule.shape(stepsPerEpoch: stepsPerEpoch))
  }
}

/// The course of the learning rate: `optimizer.schedule` in a recipe.
public struct ScheduleConfig: ConfigSection {
  /// The course after the warm-up.
  public enum Shape: String, Codable, Sendable, CaseIterable {
    /// Stays at the full rate.
    case constant
    /// Multiplies by `dropFactor` at each of `dropEpochs`.
    case drops
    /// Half a cosine to `finalFactor` of the rate.
    case cosine
    /// Flat for `flatShare` of the steps after the warm-up, then linear to `finalFactor` of the rate.
    case flatThenLinear
  }

  /// The course after the warm-up.
  public var shape = Shape.constant
  /// Steps of linear warm-up, added to `warmupEpochs`.
  public var warmupSteps = 0
  /// Epochs of linear warm-up, added to `warmupSteps`.
  public var warmupEpochs = 0.0
  /// Where the warm-up starts, as a share of the rate.
  public var warmupFactor = 0.005
  /// Epochs at which the rate drops.
  public var dropEpochs: [Double] = []
  /// What a drop multiplies the rate by.
  public var dropFactor = 0.1
  /// The share of the steps after the warm-up that stay flat.
  public var flatShare = 0.05
  /// The share of the rate that the last step has.
  public var finalFactor = 0.1

  /// The defaults.
  public init() {}

  /// Checks ranges, and that drops are given exactly where they are meant.
  public func validate() throws(ConfigError) {
    try check(warmupSteps >= 0, "warmupSteps", "is \(warmupSteps); it must not be negative")
    try check(warmupEpochs >= 0, "warmupEpochs", "is \(warmupEpochs); it must not be negative")
    for (key, value) in [("warmupFactor", warmupFactor), ("flatShare", flatShare), ("finalFactor", finalFactor)] {
      try check((0...1).contains(value), key, "is \(value); it must lie in 0...1")
    }
    try check(dropFactor > 0 && dropFactor <= 1, "dropFactor", "is \(dropFactor); it must be above 0 and at most 1")
    try check(
      dropEpochs.allSatisfy { $0 > 0 } && dropEpochs == dropEpochs.sorted(), "dropEpochs",
      "is \(dropEpochs); the epochs must be positive and ascending")
    try check(
      dropEpochs.isEmpty == (shape != .drops), "dropEpochs",
      shape == .drops
        ? "is empty, but 'optimizer.schedule.shape' is drops; list the epochs"
        : "is set, but 'optimizer.schedule.shape' is \(shape.rawValue), which has no drops")
  }

  fileprivate func warmupSteps(stepsPerEpoch: Int) -> Int {
    warmupSteps + Int((warmupEpochs * Double(stepsPerEpoch)).rounded())
  }

  fileprivate func shape(stepsPerEpoch: Int) -> LearningRateSchedule.Shape {
    switch shape {
    case .constant: .constant
    case .drops: .drops(at: dropEpochs.map { Int(($0 * Double(stepsPerEpoch)).rounded()) }, factor: dropFactor)
    case .cosine: .cosine(finalFactor: finalFactor)
    case .flatThenLinear: .flatThenLinear(flatShare: flatShare, finalFactor: finalFactor)
    }
  }
}
