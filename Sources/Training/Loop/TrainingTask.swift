public import DataLoading

/// What a rank learns from in one round.
public protocol TrainingBatch {
  /// Which samples of the data set these are, for messages.
  var sampleIndices: [Int] { get }
}

extension ImageBatch: TrainingBatch {}

/// A model that `TrainingLoop` can train: what is computed, as opposed to when, with which ranks, and how it is kept.
///
/// Every method is called on every rank with this rank's share; those marked collective may communicate.
public protocol TrainingTask: AnyObject {
  /// What one rank learns from in one round: images, or their codes.
  associatedtype Batch: TrainingBatch

  /// The sets of parameters, each with its own optimizer, in the order of their updates.
  var weights: [ShardedWeights] { get }

  /// Forward and backward of one round, adding this rank's gradients divided by `rounds`. Collective.
  /// - Parameters:
  ///   - batch: This rank's share of the round.
  ///   - step: Optimizer steps done before this one.
  ///   - round: Which of `rounds` accumulation rounds this is.
  ///   - rounds: Rounds of a step, at least 1.
  /// - Returns: Means over this rank's share, by name, in the order they are shown.
  func accumulateGradients(
    _ batch: Batch, step: Int, round: Int, of rounds: Int
  ) throws -> [(name: String, value: Double)]

  /// The loss or gradients of the step just accumulated are not finite, so it will not be applied: takes back what the
  /// forward passes have changed besides gradients, such as running statistics.
  func discardStep()

  /// Values over all steps since the last call, the same on every rank. Collective.
  func intervalMetrics() throws -> [(name: String, value: Double)]

  /// Optimizer steps of a pass over the training data; nil where there are no epochs, which is the default.
  var stepsPerEpoch: Int? { get }

  /// Values over the epoch that ends with the last step, the same on every rank. Collective. None by default.
  func epochMetrics() throws -> [(name: String, value: Double)]

  /// Values over the validation data with the weights as they are, the same on every rank. Collective.
  func validate() throws -> [(name: String, value: Double)]

  /// A picture of what the model makes of a few samples with the weights as they are; nil where there is nothing to
  /// show, which is the default. Called on one rank.
  func validationPicture() throws -> ValidationPicture?

  /// How something besides the weights is distributed, by name; nothing by default. Called on one rank.
  func distributions() -> [(name: String, values: [Float])]

  /// What else must be restored for an exact resume, as JSON text; the same on every rank. Collective.
  func savedState() throws -> String

  /// Takes back what `savedState` gave.
  func restore(state: String) throws
}

extension TrainingTask {
  /// None.
  public var stepsPerEpoch: Int? { nil }

  /// Nothing.
  public func epochMetrics() throws -> [(name: String, value: Double)] { [] }

  /// None.
  public func validationPicture() throws -> ValidationPicture? { nil }

  /// None.
  public func distributions() -> [(name: String, values: [Float])] { [] }

  /// Nothing: for models that have no state but their weights.
  public func discardStep() {}
}
