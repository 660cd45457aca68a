public import Collectives
import DataLoading
import Foundation
import Tensors
import Tokenizer

/// How much of images' classes is in a tokenizer's features: a linear probe and nearest neighbours, with the tokenizer
/// frozen.
///
/// The ranks share the images, and any number of ranks gives the same figures, bit for bit.
public struct TokenizerProbe {
  /// What is to be measured.
  public struct Options: Sendable {
    /// Images with classes to train the probe on, and others to judge it by.
    public var train: String, validation: String
    /// For one archive of validation images: where their classes are written.
    public var validationLabels: String?
    /// Uses that many images of each at most, evenly spread.
    public var trainLimit: Int?, validationLimit: Int?
    /// Tokens to keep of each image; nil for the recipe's default.
    public var keepCount: Int?
    /// What is probed; nil for the class token of tokenizers whose class token was trained for something, the mean of the
    /// tokens of others.
    public var feature: ProbedFeature?
    /// How the linear probe is trained.
    public var recipe = ProbeRecipe()
    /// k of the nearest neighbours.
    public var neighbours = 20
    /// Temperature of their votes.
    public var temperature = 0.07
    /// Whether the same network with its random first weights is probed, too.
    public var comparesWithRandom = false

    /// Probes by the literature's recipe.
    public init(train: String, validation: String) {
      self.train = train
      self.validation = validation
    }

    /// - Throws: `ConfigError` naming an option with a value that cannot be.
    func validate() throws(ConfigError) {
      for (option, value, isGood) in [
        ("--epochs", "\(recipe.epochs)", recipe.epochs > 0),
        ("--warmup-epochs", "\(recipe.warmupEpochs)", (0..<max(1, recipe.epochs)).contains(recipe.warmupEpochs)),
        ("--batch", "\(recipe.batchSize)", recipe.batchSize >= ProbeFeatures.blockSize),
        ("--learning-rate", "\(recipe.learningRate)", recipe.learningRate > 0 && recipe.learningRate.isFinite),
        ("--weight-decay", "\(recipe.weightDecay)", recipe.weightDecay >= 0 && recipe.weightDecay.isFinite),
        ("--neighbours", "\(neighbours)", neighbours > 0),
        ("--temperature", "\(temperature)", temperature > 0 && temperature.isFinite),
      ] where !isGood {
        throw ConfigError(
          origin: "\(option) \(value)",
          problem: "is out of range: epochs, learning rate, neighbours and temperature are above 0, the warm-up is "
            + "shorter than the training, and a batch has \(ProbeFeatures.blockSize) images at least")
      }
    }
  }

  private let tokenizer: TrainedTokenizer
  private let options: Options
  private let keepCount: Int
  private let feature: ProbedFeature

  /// Checks what is asked.
  /// - Throws: `ConfigError` if the options do not go together.
  public init(_ tokenizer: TrainedTokenizer, options: Options) throws {
    self.tokenizer = tokenizer
    self.options = options
    let config = tokenizer.recipe.model
    keepCount = options.keepCount ?? config.defaultKeepCount
    feature = options.feature ?? (config.head == .none ? .tokenMean : .classToken)
    try options.validate()
    try tokenizer.check(keepCounts: [keepCount], source: .actual)
  }

  /// Probes. Collective.
  /// - Parameters:
  ///   - communicator: The ranks that share the work.
  ///   - progress: Called on rank 0 with what is being done and how much of it is done.
  /// - Throws: `PeerFailure`, `ConfigError` for images without classes.
  public func report(
    on communicator: any Communicator, progress: (_ what: String, _ done: Int, _ count: Int) -> Void
  ) throws -> ProbeReport {
    try RankThreads.configure(nil, communicator: communicator)
    let (train, validation) = try images(on: communicator)
    let classCount = train.classNames.count
    let training = ProbeTraining(recipe: options.recipe, classCount: classCount, communicator: communicator)
    var rows: [ProbeReport.Row] = []
    var pixels: [String] = []
    for isTrained in options.comparesWithRandom ? [true, false] : [true] {
      let inference = isTrained ? TokenizerInference(tokenizer) : TokenizerInference(randomLike: tokenizer)
      func features(_ images: ImageSelection, _ what: String) throws -> ProbeFeatures {
        try ProbeFeatures(
          of: images, by: inference, keepCount: keepCount, feature: feature, on: communicator
        ) { progress("encoding \(what) images", $0, $1) }
      }
      var (own, judged) = (try features(train, "training"), try features(validation, "validation"))
      if pixels.isEmpty { pixels = [own.pixels, judged.pixels] }
      let moments = try own.moments(on: communicator)
      let neighbours = try training.accuracy(
        ofNeighbours: options.neighbours, temperature: options.temperature, bank: own, queries: judged)
      own.standardize(moments)
      judged.standardize(moments)
      let (probe, loss) = try training.probe(of: own) { progress("training the probe", $0, $1) }
      rows.append(
        ProbeReport.Row(
          weights: isTrained ? "trained" : "random", linear: try training.accuracy(of: probe, on: judged),
          linearOnTraining: try training.accuracy(of: probe, on: own), linearTrainingLoss: loss,
          neighbours: neighbours))
    }
    return ProbeReport(
      provenance: ProbeReport.Provenance(
        tokenizer: TokenizerProvenance(tokenizer), feature: feature,
        featureCount: tokenizer.recipe.model.encoderWidth, keepCount: keepCount,
        view: TokenizerInference(tokenizer).view.cropRule, classCount: classCount,
        train: ProbeReport.Images(path: options.train, count: train.count, pixels: pixels[0]),
        validation: ProbeReport.Images(path: options.validation, count: validation.count, pixels: pixels[1]),
        recipe: options.recipe, neighbours: options.neighbours, temperature: options.temperature), rows: rows)
  }

  /// The images: those to train on in random order, so that every block has a bit of everything. Collective.
  private func images(on communicator: any Communicator) throws -> (train: ImageSelection, validation: ImageSelection) {
    let train = ImageSelection(try openDataset(options.train, communicator: communicator))
      .limited(to: options.trainLimit)
    guard train.classNames.count > 1 else {
      throw ConfigError(
        origin: "--train \(options.train)",
        problem: "has \(train.classNames.count) classes; a probe needs folders, tars or shards of two classes at least")
    }
    let validation = ImageSelection(
      try openDataset(
        options.validation, key: "--validation", labels: options.validationLabels, classNames: train.classNames,
        communicator: communicator)
    ).limited(to: options.validationLimit)
    guard !validation.classNames.isEmpty else {
      throw ConfigError(origin: "--validation \(options.validation)", problem: "has no classes")
    }
    var random = SplitMix64(seed: options.recipe.seed, 0x696d_6773)
    return (train.ordered(by: Array(0..<train.count).shuffled(using: &random)), validation)
  }
}

extension TokenizerInference {
  /// The same network with the random weights that its training began with.
  fileprivate init(randomLike tokenizer: TrainedTokenizer) {
    model = TokenizerModel(tokenizer.recipe.model, seed: tokenizer.recipe.run.seed)
    view = Training.view(tokenizer.recipe, isTraining: false)
  }
}
