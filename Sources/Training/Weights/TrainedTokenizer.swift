import Checkpointing
import Foundation
import Layers
import Tensors
public import Tokenizer

/// A tokenizer with the weights of a run, a checkpoint or a weight file.
///
/// A weight file is what `mergevq checkpoint import` and `export` write: safetensors with published names and layouts,
/// and the resolved recipe in its metadata.
public struct TrainedTokenizer {
  /// The network.
  public let model: TokenizerModel
  /// What it was trained by.
  public let recipe: TokenizerRecipe
  /// Where the weights come from.
  public let path: String
  /// Which of a run's values these are.
  public let weights: WeightChoice
  /// Optimizer steps done; nil where the weight file does not say.
  public let step: Int?

  /// Loads a tokenizer from whatever `path` is.
  /// - Parameters:
  ///   - path: A run directory, of which the newest good checkpoint counts, one checkpoint, or a weight file.
  ///   - weights: Which of a checkpoint's values; a weight file has one set only.
  /// - Throws: `CheckpointError` or `UnfitWeights` for damaged or foreign files, `ConfigError` where there is nothing.
  public init(path: String, weights: WeightChoice = .average) throws {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue {
      try self.init(file: path)
    } else {
      try self.init(checkpoint: path, weights: weights)
    }
  }

  /// Loads a run directory's newest good checkpoint, or one checkpoint.
  /// - Throws: As `init(path:weights:)`.
  public init(checkpoint path: String, weights: WeightChoice = .average) throws {
    let checkpoint = try CheckpointReader(directory: locateCheckpoint(path))
    try checkpoint.verify()
    recipe = try TokenizerRecipe.resolve(
      yaml: checkpoint.manifest.recipe, named: "the recipe in \(checkpoint.directory)")
    model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    self.path = checkpoint.directory
    self.weights = weights
    step = checkpoint.manifest.step
    for (name, parameter) in model.parameters {
      try checkpoint.read(
        kind: weights.rawValue, key: name,
        into: UnsafeMutableBufferPointer(start: parameter.value.pointer, count: parameter.count))
    }
  }

  private init(file path: String) throws {
    let file = try WeightFile.open(path)
    guard let yaml = file.metadata[WeightFileKey.recipe] else {
      throw ConfigError(
        origin: path,
        problem: "does not say which tokenizer it is; import it with its recipe first: "
          + "mergevq checkpoint import \(path) --as tokenizer --recipe RECIPE.yaml --output FILE.safetensors")
    }
    recipe = try TokenizerRecipe.resolve(yaml: yaml, named: "the recipe in \(path)")
    model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    self.path = path
    weights = file.metadata[WeightFileKey.weights].flatMap(WeightChoice.init) ?? .average
    step = file.metadata[WeightFileKey.step].flatMap { Int($0) }
    try model.load(published: file)
  }

  /// Name and age, for titles.
  public var title: String { recipe.name + (step.map { ", step \($0)" } ?? "") }

  /// SHA-256 of everything that decides what codes mean: every weight, whatever file it came from, and the shape of the
  /// network beyond what the weights' own shapes say.
  public var fingerprint: String {
    var hash = ContentHash()
    let config = recipe.model
    hash.add("resolution \(config.resolution), heads \(config.encoderHeads) \(config.decoderHeads)")
    if model.recovery != nil { hash.add("recovery \(config.recoveryHeads) \(config.recoveryPositions)") }
    hash.add(model)
    return hash.hexadecimalText
  }

  /// Writes a weight file.
  /// - Throws: `CheckpointError` if it cannot be written.
  public func export(to path: String) throws {
    var metadata = [
      WeightFileKey.format: "pt", WeightFileKey.kind: PublishedNetwork.tokenizer.rawValue,
      WeightFileKey.recipe: try recipe.resolvedYAML(), WeightFileKey.weights: weights.rawValue,
    ]
    metadata[WeightFileKey.step] = step.map(String.init)
    try model.write(published: path, metadata: metadata)
  }
}

/// The metadata of weight files.
enum WeightFileKey {
  /// `pt`, as other programs expect it of tensors in PyTorch's layouts.
  static let format = "format"
  /// A `PublishedNetwork`.
  static let kind = "kind"
  /// The resolved recipe, as YAML.
  static let recipe = "recipe"
  /// A `WeightChoice`.
  static let weights = "weights"
  /// Optimizer steps done.
  static let step = "step"
  /// Name and SHA-256 of every file that an import read.
  static let source = "source"
  /// Names of parameters that an import left at their random initial values.
  static let initial = "initial"
}
