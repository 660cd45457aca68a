import Checkpointing
import Evaluation
import Foundation
import Layers
import Tensors
import Tokenizer

/// Weights as their authors published them, to be turned into a weight file of this program.
///
/// The weight file has our names, which are the published ones wherever publishers agree, and published layouts.
public struct PublishedWeights {
  /// What an import needs to know beside the files.
  public struct Options: Sendable {
    /// The tokenizer's recipe; for other networks the files themselves tell the shape.
    public var recipe: TokenizerRecipe?
    /// Which values, where a tokenizer's file has two sets.
    public var weights = WeightChoice.average
    /// Names, or beginnings of names up to a dot, of parameters that may be missing.
    public var allowedMissing: [String] = []

    /// A strict import.
    public init() {}
  }

  private let network: PublishedNetwork
  private let paths: [String]
  private let files: [any TensorFile]
  private let options: Options

  /// Opens the files.
  /// - Parameters:
  ///   - network: What the files are weights of.
  ///   - paths: Safetensors or PyTorch files, which together hold the weights.
  ///   - section: For PyTorch files, the dictionary whose tensors are wanted.
  ///   - options: What the files do not say themselves.
  /// - Throws: `CheckpointError` for a file that cannot be read; `ConfigError` if a tokenizer comes without its recipe.
  public init(_ network: PublishedNetwork, paths: [String], section: String? = nil, options: Options) throws {
    guard network != .tokenizer || options.recipe != nil else {
      throw ConfigError(
        origin: "--as tokenizer", problem: "needs the recipe of the model: add --recipe RECIPE.yaml")
    }
    self.network = network
    self.paths = paths
    self.options = options
    files = try paths.map { try WeightFile.open($0, section: section) }
  }

  /// Writes the weight file.
  /// - Parameters:
  ///   - output: Where to; the path must be free.
  ///   - listing: Whether the report has a line for every parameter that matched.
  /// - Returns: What was found, for the user.
  /// - Throws: `UnfitWeights` with the whole report if anything is missing, unexpected or of another shape.
  public func write(to output: NewOutput, listing: Bool) throws -> String {
    let names = Set(files.flatMap(\.names))
    switch network {
    case .tokenizer:
      let recipe = options.recipe ?? TokenizerRecipe()
      let model = TokenizerModel(recipe.model, seed: recipe.run.seed)
      let rules = PublishedNames.tokenizer(
        parameters: model.parameters.map(\.name), names: names, weights: options.weights)
      return try write(
        model, WeightImport(files, names: rules), to: output, listing: listing,
        metadata: [
          WeightFileKey.recipe: try recipe.resolvedYAML(), WeightFileKey.weights: options.weights.rawValue,
        ])
    case .teacher:
      let weights = WeightImport(files, names: .named(network, names: names))
      var random = SplitMix64(seed: 0)
      // The number of heads leaves no trace in the weights; whoever uses them says it.
      let teacher = Teacher(
        try Teacher.Config(shapes: weights.shapes, heads: 1, path: paths.joined(separator: ", ")), using: &random)
      return try write(teacher, weights, to: output, listing: listing, metadata: [:])
    case .lpips:
      var random = SplitMix64(seed: 0)
      return try write(
        PerceptualLoss(using: &random), WeightImport(files, names: .named(network, names: names)), to: output,
        listing: listing, metadata: [:])
    case .inception:
      var random = SplitMix64(seed: 0)
      return try write(
        InceptionNetwork(using: &random), WeightImport(files, names: .named(network, names: names)), to: output,
        listing: listing, metadata: [:])
    }
  }

  private func write(
    _ module: some Module, _ weights: WeightImport, to output: NewOutput, listing: Bool, metadata: [String: String]
  ) throws -> String {
    let outcome = weights.outcome(for: module, allowedMissing: options.allowedMissing + network.dispensable)
    guard outcome.isComplete else {
      throw UnfitWeights(path: paths.joined(separator: ", "), report: outcome.text(listing: listing))
    }
    try weights.load(into: module)
    var metadata = metadata
    metadata[WeightFileKey.format] = "pt"
    metadata[WeightFileKey.kind] = network.rawValue
    metadata[WeightFileKey.source] = try paths.map { path throws(CheckpointError) in
      "\((path as NSString).lastPathComponent) \(try sha256(ofFile: path))"
    }.joined(separator: "\n")
    if !outcome.allowed.isEmpty { metadata[WeightFileKey.initial] = outcome.allowed.joined(separator: "\n") }
    try module.write(published: output.path, metadata: metadata)
    return outcome.text(listing: listing)
  }
}
