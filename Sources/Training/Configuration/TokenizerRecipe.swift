public import Tokenizer

/// Everything that decides a tokenizer run: the content of `Launch/recipes/tokenizer-*.yaml`.
public struct TokenizerRecipe: TrainingRecipe {
  /// Names the run in messages and its default directory.
  public var name = "tokenizer"
  /// Length, seed, reporting.
  public var run = RunConfig()
  /// The network.
  public var model = TokenizerConfig()
  /// Images and what happens to them.
  public var data = DataConfig()
  /// Images of a step.
  public var batch = BatchConfig()
  /// Weights of the loss terms.
  public var loss = TokenizerLossConfig()
  /// How parameters follow their gradients.
  public var optimizer = OptimizerConfig()

  /// The defaults.
  public init() {}

  /// Checks every section.
  public func validate() throws(ConfigError) {
    try check(!name.isEmpty && !name.contains("/"), "name", "is '\(name)'; it must be a plain name")
    try Training.validate("run", run)
    try Training.validate("model", model)
    try Training.validate("data", data)
    try check(
      data.resize ?? model.resolution >= model.resolution, "data.resize",
      "is \(data.resize ?? 0), smaller than the \(model.resolution) pixels of 'model.resolution'")
    try Training.validate("batch", batch)
    try Training.validate("loss", loss)
    try Training.validate("optimizer", optimizer)
  }
}

/// Weights of the loss terms of the tokenizer: `loss` in a recipe (method section 1.5).
public struct TokenizerLossConfig: ConfigSection {
  /// Weight of the mean absolute error of the pixels.
  public var l1 = 1.0
  /// Weight of the entropy term: sample entropy − batch entropy, in nats.
  public var entropy = 0.1
  /// Temperature of the entropy term.
  public var entropyTemperature = 0.01
  /// Weight of the commitment term.
  public var commitment = 0.25
  /// Weight of the learned source recovery's cross-entropy, where the model has one.
  public var source = 1.0

  /// The defaults.
  public init() {}

  /// The objective with these weights.
  var objective: TokenizerObjective {
    TokenizerObjective(
      l1: Float(l1), entropy: Float(entropy), entropyTemperature: Float(entropyTemperature),
      commitment: Float(commitment), source: Float(source))
  }

  /// Checks that no weight is negative.
  public func validate() throws(ConfigError) {
    for (key, weight) in [("l1", l1), ("entropy", entropy), ("commitment", commitment), ("source", source)] {
      try check(weight >= 0, key, "is \(weight); a weight must not be negative")
    }
    try check(entropyTemperature > 0, "entropyTemperature", "is \(entropyTemperature); it must be positive")
  }
}

extension TokenizerConfig: ConfigSection {
  /// Checks that the model can be built.
  public func validate() throws(ConfigError) {
    if let (key, message) = problems.first { throw ConfigError(key: key, problem: message) }
  }
}
