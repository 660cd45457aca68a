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
  /// What the class token is trained to know.
  public var alignment = AlignmentConfig()
  /// How parameters follow their gradients.
  public var optimizer = OptimizerConfig()
  /// How the discriminator's parameters follow theirs, where there is one. Its average is kept, but not used.
  public var discriminatorOptimizer = OptimizerConfig()
  /// What a new run starts with instead of random weights.
  public var initialization = InitializationConfig()

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
    try Training.validate("alignment", alignment)
    try Training.validate("optimizer", optimizer)
    try Training.validate("discriminatorOptimizer", discriminatorOptimizer)
    try Training.validate("initialization", initialization)
    try checkFit()
  }
}

extension TokenizerRecipe {
  /// Checks what concerns two sections.
  private func checkFit() throws(ConfigError) {
    let adversarial = loss.adversarial
    try check(
      adversarial.weight == 0 || model.resolution >= adversarial.smallestResolution, "loss.adversarial.layers",
      "is \(adversarial.layers), which needs images of \(adversarial.smallestResolution) pixels; "
        + "'model.resolution' is \(model.resolution)")
    guard alignment.kind != .none else { return }
    try check(
      model.head != .none, "model.head", "is none, but 'alignment.kind' \(alignment.kind.rawValue) trains a head")
    try check(
      alignment.resolution.isMultiple(of: model.downsampling), "alignment.resolution",
      "is \(alignment.resolution), which is not a multiple of the model's downsampling \(model.downsampling)")
  }
}

extension TokenizerConfig: ConfigSection {
  /// Checks that the model can be built.
  public func validate() throws(ConfigError) {
    if let (key, message) = problems.first { throw ConfigError(key: key, problem: message) }
  }
}
