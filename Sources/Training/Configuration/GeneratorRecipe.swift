public import Generator
public import Tokenizer

/// Everything that decides a generator run: the content of `Launch/recipes/generator-*.yaml`.
public struct GeneratorRecipe: TrainingRecipe {
  /// Names the run in messages and its default directory.
  public var name = "generator"
  /// Length, seed, reporting.
  public var run = RunConfig()
  /// The network. A `classCount` of 0 stands for as many classes as the codes have.
  public var model = GeneratorConfig()
  /// Codes to learn from.
  public var data = GeneratorDataConfig()
  /// Instead of `data.codes`: images that the tokenizer encodes while training goes on.
  public var images: DataConfig?
  /// The tokenizer: a run directory or a checkpoint. Needed with `images`; with codes it is the one that made them.
  public var tokenizer: String?
  /// Images of a step.
  public var batch = BatchConfig()
  /// How parameters follow their gradients; AdamW as published unless a recipe says otherwise.
  public var optimizer = OptimizerConfig()

  /// The defaults.
  public init() {
    model.classCount = 0
    optimizer.learningRate = 3e-4
    optimizer.betas = [0.9, 0.95]
    optimizer.weightDecay = 0.05
    optimizer.clipNorm = 1
    optimizer.schedule.shape = .flatThenLinear
    optimizer.schedule.warmupEpochs = 6
  }

  /// Checks every section.
  public func validate() throws(ConfigError) {
    try check(!name.isEmpty && !name.contains("/"), "name", "is '\(name)'; it must be a plain name")
    try Training.validate("run", run)
    var model = model
    // The codes will tell.
    if model.classCount == 0 { model.classCount = 1 }
    try Training.validate("model", model)
    try Training.validate("data", data)
    if let images {
      try Training.validate("images", images)
      try check(data.codes == nil, "images", "and 'data.codes' are both set; learn from one of them")
      try check(tokenizer != nil, "tokenizer", "is not set; 'images' need the tokenizer that encodes them")
    }
    try Training.validate("batch", batch)
    try Training.validate("optimizer", optimizer)
  }

  /// The recipe with what the codes decide, checked against them.
  /// - Throws: `ConfigError` naming the key that does not fit.
  func fitted(to codes: CodeProperties) throws(ConfigError) -> GeneratorRecipe {
    var recipe = self
    let classCount = max(1, codes.classes.names.count)
    if model.classCount == 0 { recipe.model.classCount = classCount }
    try check(
      recipe.model.classCount >= classCount, "model.classCount",
      "is \(model.classCount), but the codes have \(classCount) classes; set 0 to take theirs")
    try check(
      model.gridSize == codes.gridSize, "model.gridSize",
      "is \(model.gridSize), but the codes are of \(codes.gridSize)×\(codes.gridSize) positions")
    try check(
      model.factorBits.reduce(0, +) == codes.codeBits, "model.factorBits",
      "are \(model.factorBits), which does not sum to the \(codes.codeBits) bits of the codes")
    for keep in model.keepCounts + [validationKeepCount(codes)] {
      try check(
        codes.keepCounts.contains(keep), "model.keepCounts",
        "need \(keep) tokens, but the codes were made at \(codes.keepCounts)")
    }
    return recipe
  }

  /// The keep count of the validation.
  func validationKeepCount(_ codes: CodeProperties) -> Int { data.validationKeepCount ?? codes.defaultKeepCount }
}

/// Which codes a generator learns from: `data` in a recipe.
public struct GeneratorDataConfig: ConfigSection {
  /// A folder that `mergevq generator encode` wrote.
  public var codes: String?
  /// Validation codes, a folder of the same tokenizer; nil validates on nothing.
  public var validation: String?
  /// Validation stops after this many images; nil uses all.
  public var validationImages: Int?
  /// Tokens of the validation images; nil for the tokenizer's default.
  public var validationKeepCount: Int?
  /// How a step draws its keep count from `model.keepCounts`.
  public var keepDistribution = TokenizerConfig.KeepDistribution.gaussian

  /// The defaults.
  public init() {}

  /// Checks numbers. Whether paths exist is for the reader to say.
  public func validate() throws(ConfigError) {
    try check(validationImages ?? 1 > 0, "validationImages", "is \(validationImages ?? 0); it must be at least 1")
    try check(
      validationKeepCount ?? 1 > 0, "validationKeepCount", "is \(validationKeepCount ?? 0); it must be at least 1")
  }
}

extension GeneratorConfig: ConfigSection {
  /// Checks that the model can be built.
  public func validate() throws(ConfigError) {
    if let (key, message) = problems.first { throw ConfigError(key: key, problem: message) }
  }
}

/// What codes are like, whether they lie in a folder or are made on the way.
struct CodeProperties: Codable, Equatable {
  /// The tokenizer that made them.
  var tokenizer: TokenizerIdentity
  var codeBits: Int
  var gridSize: Int
  var keepCounts: [Int]
  var defaultKeepCount: Int
  var classes: ClassNames
  /// For generators in random order: the share of images in which each position represents its group, by keep count.
  var representativeShares: [Int: [Float]]?
}
