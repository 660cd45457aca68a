public import Kernels
public import Tensors

/// Where a run lives, how long it is and how often it reports: `run` in a recipe.
public struct RunConfig: ConfigSection {
  /// Checkpoints, metrics and pictures go here; nil means `runs/NAME` with the recipe's name.
  public var directory: String?
  /// Seed of everything random: initial weights, order, augmentation.
  public var seed: UInt64 = 0
  /// Optimizer steps of the whole run; with `epochs` too, the run ends at whichever comes first.
  public var steps: Int?
  /// Passes over the training images.
  public var epochs: Double?
  /// Steps between metrics lines.
  public var logEvery = 10
  /// Steps between validations; 0 for none but the last.
  public var validateEvery = 1000
  /// Steps between checkpoints; 0 for none but one where a signal ends the run: for measurements.
  public var checkpointEvery = 1000
  /// Whether metrics lines hold the times of every rank, too.
  public var logRanks = false
  /// Whether pictures are drawn at the end.
  public var pictures = true
  /// Newest checkpoints that are kept.
  public var keepLast = 3
  /// Checkpoints at multiples of this many steps are kept for good; nil keeps none of them.
  public var keepEvery: Int?
  /// Threads of a rank; nil means as many as the cores it may run on.
  public var threads: Int?
  /// Whether 3×3 convolutions are `fast` or `accurate` (see `ConvolutionPrecision`).
  public var convolutions = ConvolutionPrecision.fast

  /// What the backward pass computes again instead of keeping it: `none`, `elementwise` or `blocks` (see
  /// `Recomputation`). A step takes as long with `elementwise` as with `none`, within what can be measured.
  public var recomputation = Recomputation.elementwise
  /// Whether `RUN/tensorboard` gets event files that TensorBoard shows, beside `metrics.jsonl`.
  public var tensorBoard = true
  /// Steps, counted from 1, of which `RUN/trace.json` shows what every rank does and when.
  public var traceSteps: [Int] = []

  /// Non-finite gradients, stalls, heartbeats.
  public var faults = FaultConfig()
  /// When gradients are reduced.
  public var communication = CommunicationConfig()

  /// The defaults.
  public init() {}

  /// Checks that the run ends and that intervals are intervals.
  public func validate() throws(ConfigError) {
    try check(
      steps != nil || epochs != nil, "steps", "and 'run.epochs' are both unset; give one of them a value")
    try check(steps ?? 1 > 0, "steps", "is \(steps ?? 0); it must be at least 1")
    try check(epochs ?? 1 > 0, "epochs", "is \(epochs ?? 0); it must be positive")
    try check(logEvery > 0, "logEvery", "is \(logEvery); it must be at least 1")
    try check(validateEvery >= 0, "validateEvery", "is \(validateEvery); it must be 0 (only at the end) or positive")
    try check(checkpointEvery >= 0, "checkpointEvery", "is \(checkpointEvery); it must be 0 (none) or positive")
    try check(keepLast > 0, "keepLast", "is \(keepLast); at least the newest checkpoint must be kept")
    try check(keepEvery ?? 1 > 0, "keepEvery", "is \(keepEvery ?? 0); it must be at least 1, or null")
    try check(threads ?? 1 > 0, "threads", "is \(threads ?? 0); it must be at least 1, or null")
    try check(
      traceSteps.allSatisfy { $0 > 0 }, "traceSteps", "is \(traceSteps); steps are counted from 1")
    try Training.validate("faults", faults)
    try Training.validate("communication", communication)
  }

  /// Optimizer steps of the whole run, given the length of an epoch.
  /// - Parameter stepsPerEpoch: Optimizer steps of one pass over the training images, at least 1.
  public func totalSteps(stepsPerEpoch: Int) -> Int {
    let byEpochs = epochs.map { max(1, Int(($0 * Double(stepsPerEpoch)).rounded())) }
    return min(steps ?? .max, byEpochs ?? .max)
  }
}
