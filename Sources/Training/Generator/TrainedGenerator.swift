import Checkpointing
import Foundation
public import Generator
import Tensors

/// A generator with the averaged weights of a run or a checkpoint, and what it knows of its codes.
public struct TrainedGenerator {
  /// The network.
  public let model: Transformer
  /// What it was trained by.
  public let recipe: GeneratorRecipe
  /// Where the weights come from.
  public let path: String
  /// Optimizer steps done.
  public let step: Int
  /// What its codes are like.
  let codes: CodeProperties

  /// Loads a run directory's newest good checkpoint, or one checkpoint.
  /// - Throws: `CheckpointError` if it is damaged, `ConfigError` if there is none or it is not a generator's.
  public init(checkpoint path: String) throws {
    let checkpoint = try CheckpointReader(directory: locateCheckpoint(path))
    try checkpoint.verify()
    do {
      codes = try JSONDecoder().decode(CodeProperties.self, from: Data(checkpoint.manifest.state.utf8))
    } catch {
      throw ConfigError(
        origin: checkpoint.directory, problem: "is not a checkpoint of a generator; name a run of 'generator train'")
    }
    recipe = try GeneratorRecipe.resolve(
      yaml: checkpoint.manifest.recipe, named: "the recipe in \(checkpoint.directory)")
    model = Transformer(recipe.model, seed: recipe.run.seed)
    self.path = checkpoint.directory
    step = checkpoint.manifest.step
    for (name, parameter) in model.parameters {
      try checkpoint.read(
        kind: WeightChoice.average.rawValue, key: name,
        into: UnsafeMutableBufferPointer(start: parameter.value.pointer, count: parameter.count))
    }
  }

  /// Name and age, for titles.
  public var title: String { "\(recipe.name), step \(step)" }
}
