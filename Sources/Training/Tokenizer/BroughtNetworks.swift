import Checkpointing
import Collectives
import Foundation
import Layers
import Tensors
import Tokenizer

/// The networks of stage 1 whose weights the user brings along: LPIPS and the teacher.
public struct BroughtNetworks {
  /// LPIPS, if it counts and its weights are there.
  public private(set) var perceptual: PerceptualLoss?
  /// DINOv2, if it is asked and its weights are there.
  public private(set) var teacher: Teacher?
  /// What is off because its weights are not there, a sentence each.
  public private(set) var notices: [String] = []

  /// No networks.
  public init() {}

  /// LPIPS as it is given; for measurements, which need no published weights.
  package init(perceptual: PerceptualLoss) { self.perceptual = perceptual }

  /// Loads what a recipe names.
  /// - Throws: `ConfigError` for a file that is not the one the recipe wants, or a network that does not fit the model;
  ///   `CheckpointError` and `UnfitWeights` for files that cannot be read or hold other weights.
  public init(_ recipe: TokenizerRecipe) throws {
    if recipe.loss.perceptual.weight > 0 {
      perceptual = try Self.perceptual(recipe.loss.perceptual.network)
      if perceptual == nil {
        notices.append(
          "the perceptual term is off: it needs the weights of VGG-16 (vgg16-397923af.pth, download.pytorch.org/models) "
            + "and of LPIPS (weights/v0.1/vgg.pth of the package lpips); name both with "
            + "--set 'loss.perceptual.network.files=[FILE, FILE]'")
      }
    }
    if recipe.alignment.loss?.needsTeacher == true {
      try loadTeacher(recipe)
      if teacher == nil {
        notices.append(
          "global alignment is off: it needs the weights of DINOv2 (model.safetensors of huggingface.co/facebook/dinov2-base, "
            + "or dinov2_vitb14_pretrain.pth of github.com/facebookresearch/dinov2); name it with "
            + "--set 'alignment.teacher.files=[FILE]', or train with classes: --set alignment.kind=labels")
      }
    }
  }

  private static func perceptual(_ config: BroughtWeightsConfig) throws -> PerceptualLoss? {
    guard let files = try config.opened(key: "loss.perceptual.network") else { return nil }
    var random = SplitMix64(seed: 0)
    let network = PerceptualLoss(using: &random)
    let weights = WeightImport(files, names: .perceptual(names: Set(files.flatMap(\.names))))
    try weights.loadCompletely(into: network, files: files)
    return network
  }

  private mutating func loadTeacher(_ recipe: TokenizerRecipe) throws {
    let config = recipe.alignment
    guard let files = try config.teacher.opened(key: "alignment.teacher") else { return }
    let weights = WeightImport(files, names: .teacher(names: Set(files.flatMap(\.names))))
    let shape = try Teacher.Config(shapes: weights.shapes, heads: config.teacherHeads, path: files[0].path)
    guard config.resolution.isMultiple(of: shape.patchSize) else {
      throw ConfigError(
        key: "alignment.resolution",
        problem:
          "is \(config.resolution), which is not a multiple of the teacher's patches of \(shape.patchSize) pixels")
    }
    guard shape.width == recipe.model.headOutputs else {
      throw ConfigError(
        key: "model.headOutputs",
        problem: "is \(recipe.model.headOutputs), but the teacher in \(files[0].path) has \(shape.width) channels")
    }
    var random = SplitMix64(seed: 0)
    let network = Teacher(shape, using: &random)
    try weights.loadCompletely(into: network, files: files, allowedMissing: PublishedNetwork.teacher.dispensable)
    teacher = network
  }
}

extension BroughtWeightsConfig {
  /// Opens the files; nil where there are none.
  /// - Parameter key: Where the recipe names them.
  /// - Throws: `CheckpointError` for a file that cannot be read; `ConfigError` for one that the recipe does not want.
  func opened(key: String) throws -> [any TensorFile]? {
    guard !files.isEmpty else { return nil }
    return try files.map { path in
      let file = try WeightFile.open(path)
      guard !sha256.isEmpty else { return file }
      let found = try Checkpointing.sha256(ofFile: path)
      guard sha256.contains(where: { found.hasPrefix($0) }) else {
        throw ConfigError(
          key: "\(key).sha256",
          problem: "has \(sha256.joined(separator: " and ")), but \(path) has \(found): it is another file than this "
            + "recipe was made for; bring that one, or take the hash out with --set '\(key).sha256=[]'")
      }
      return file
    }
  }
}

extension WeightImport {
  /// Sets every parameter of a network.
  /// - Throws: `UnfitWeights` if anything is missing, unexpected or of another shape.
  func loadCompletely(
    into module: some Module, files: [any TensorFile], allowedMissing: [String] = []
  ) throws {
    let outcome = outcome(for: module, allowedMissing: allowedMissing)
    guard outcome.isComplete else {
      throw UnfitWeights(path: files.map(\.path).joined(separator: ", "), report: outcome.text(listing: false))
    }
    try load(into: module)
  }
}
