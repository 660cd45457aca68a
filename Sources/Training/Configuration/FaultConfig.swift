/// What a run does about trouble: `run.faults` in a recipe.
public struct FaultConfig: ConfigSection {
  /// What to do about a step whose loss or gradients are not finite. Whatever it is, no parameter has changed yet.
  public enum NonFinitePolicy: String, Codable, Sendable, CaseIterable {
    /// Leave the weights as they are and go on with the next step's images.
    case skip
    /// Go back to the newest checkpoint, and leave out this step when it comes round again.
    case rollback
    /// End the run.
    case stop
  }

  /// What to do about a loss or gradients that are not finite.
  public var nonFinite = NonFinitePolicy.skip
  /// After this many such steps in a row (or rollbacks without a new checkpoint between) the run ends after all.
  public var nonFiniteInARow = 3
  /// A collective operation that waits longer ends the job, and the ranks that are missing are named. Validation,
  /// checkpoints and data start of the slowest rank must fit in.
  public var stallSeconds = 900.0
  /// How often each rank writes down where it is, for the watchdog of the other ranks and `mergevq status`.
  public var heartbeatSeconds = 5.0
  /// During the first steps of a start, ranks that call different collective operations are named instead of
  /// waiting for each other; each operation costs one more exchange meanwhile.
  public var checkedSteps = 2

  /// The defaults.
  public init() {}

  /// Checks limits.
  public func validate() throws(ConfigError) {
    try check(nonFiniteInARow > 0, "nonFiniteInARow", "is \(nonFiniteInARow); it must be at least 1")
    try check(heartbeatSeconds > 0, "heartbeatSeconds", "is \(heartbeatSeconds); it must be positive")
    try check(
      stallSeconds >= 2 * heartbeatSeconds, "stallSeconds",
      "is \(stallSeconds); it must be at least twice 'heartbeatSeconds' (\(heartbeatSeconds))")
    try check(checkedSteps >= 0, "checkedSteps", "is \(checkedSteps); it must be 0 (never) or positive")
  }
}
