public import Tokenizer

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
  /// The perceptual term.
  public var perceptual = PerceptualConfig()
  /// The adversarial term.
  public var adversarial = AdversarialConfig()

  /// The defaults.
  public init() {}

  /// The objective with these weights.
  var objective: TokenizerObjective {
    TokenizerObjective(
      l1: Float(l1), perceptual: Float(perceptual.weight), entropy: Float(entropy),
      entropyTemperature: Float(entropyTemperature), commitment: Float(commitment), source: Float(source))
  }

  /// Checks that no weight is negative.
  public func validate() throws(ConfigError) {
    for (key, weight) in [("l1", l1), ("entropy", entropy), ("commitment", commitment), ("source", source)] {
      try check(weight >= 0, key, "is \(weight); a weight must not be negative")
    }
    try check(entropyTemperature > 0, "entropyTemperature", "is \(entropyTemperature); it must be positive")
    try Training.validate("perceptual", perceptual)
    try Training.validate("adversarial", adversarial)
  }
}

/// LPIPS: `loss.perceptual` in a recipe. It is off until its weights are given.
public struct PerceptualConfig: ConfigSection {
  /// Weight of the mean LPIPS distance; 0 leaves it out.
  public var weight = 0.0
  /// VGG-16 as torchvision publishes it, and LPIPS's weights for it; one file may hold both.
  public var network = BroughtWeightsConfig()

  /// The defaults.
  public init() {}

  /// Checks that there is a weight where there is a network.
  public func validate() throws(ConfigError) {
    try check(weight >= 0, "weight", "is \(weight); a weight must not be negative")
    try Training.validate("network", network)
    try check(
      weight > 0 || network.files.isEmpty, "weight", "is 0, but 'loss.perceptual.network.files' are given; set a weight"
    )
  }
}

/// The discriminator and what it means to the generator: `loss.adversarial` in a recipe.
public struct AdversarialConfig: ConfigSection {
  /// What the generator's adversarial loss is multiplied by; 0 leaves the discriminator out. With `adaptive`, the factor
  /// in front of the quotient of gradient norms.
  public var weight = 0.0
  /// Whether the weight follows the quotient of the reconstruction's and the adversarial loss's gradient norms at the
  /// decoder's last layer.
  public var adaptive = false
  /// Optimizer steps before the discriminator takes part.
  public var startStep = 0
  /// What the generator minimises.
  public var generatorLoss = AdversarialLoss.OfGenerator.nonSaturating
  /// What the discriminator minimises.
  public var discriminatorLoss = AdversarialLoss.OfDiscriminator.hinge
  /// Weight of LeCAM regularisation.
  public var lecam = 0.01
  /// Channels of the discriminator's first layer.
  public var channels = 64
  /// Layers of the discriminator that halve the resolution.
  public var layers = 3

  /// The defaults.
  public init() {}

  /// The adversary of this section; nil where it is left out.
  var settings: Adversary.Settings? {
    guard weight > 0 else { return nil }
    var settings = Adversary.Settings()
    settings.weight = adaptive ? .adaptive(factor: Float(weight)) : .fixed(Float(weight))
    settings.generatorLoss = generatorLoss
    settings.discriminatorLoss = discriminatorLoss
    settings.lecamWeight = Float(lecam)
    settings.channels = channels
    settings.layers = layers
    return settings
  }

  /// Checks ranges.
  public func validate() throws(ConfigError) {
    try check(weight >= 0, "weight", "is \(weight); a weight must not be negative")
    try check(lecam >= 0, "lecam", "is \(lecam); a weight must not be negative")
    try check(startStep >= 0, "startStep", "is \(startStep); it must not be negative")
    try check(channels > 0, "channels", "is \(channels); it must be at least 1")
    try check((1...8).contains(layers), "layers", "is \(layers); it must lie in 1...8")
    try check(
      weight > 0 || !adaptive, "weight", "is 0, but 'loss.adversarial.adaptive' is on; 0.8 is the published factor")
  }

  /// The smallest image side, in pixels, that leaves a logit: every layer halves, and the last two take one pixel each.
  var smallestResolution: Int {
    var side = 1 + 1 + 1
    for _ in 0..<layers { side *= 2 }
    return side
  }
}

/// Files of published weights that a user brings along, because they cannot come with this program.
public struct BroughtWeightsConfig: ConfigSection {
  /// The files: safetensors or PyTorch, which together hold the weights; none leaves the network out.
  public var files: [String] = []
  /// SHA-256 of the files that are known to be right, or their first 8 and more digits, in any order; none accepts every
  /// file.
  public var sha256: [String] = []

  /// The defaults.
  public init() {}

  /// Checks that the hashes can be hashes.
  public func validate() throws(ConfigError) {
    for hash in sha256 {
      try check(
        (8...64).contains(hash.count) && hash.allSatisfy { $0.isHexDigit && !$0.isUppercase }, "sha256",
        "has '\(hash)'; a SHA-256 is given by its first 8 to 64 hexadecimal digits in lower case")
    }
  }
}
