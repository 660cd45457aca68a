/// What a new run starts with instead of random weights: `initialization` in a recipe.
public struct InitializationConfig: ConfigSection {
  /// A vision transformer at least as wide as the encoder; its blocks and class token give the encoder's first weights, by
  /// selecting elements evenly. None: random weights.
  public var encoder = BroughtWeightsConfig()

  /// The defaults.
  public init() {}

  /// Checks the hashes.
  public func validate() throws(ConfigError) { try Training.validate("encoder", encoder) }
}
