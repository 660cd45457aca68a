import Foundation
import Kernels
import Tensors
import Tokenizer

/// What a run would be: its resolved recipe, its parameters and the memory that a rank would need.
public struct TokenizerPlan: Sendable {
  /// A named amount.
  public struct Item: Sendable, Equatable {
    /// What it is.
    public let name: String
    /// Parameters, or bytes.
    public let count: Int
  }

  /// Every key of the recipe.
  public let resolvedRecipe: String
  /// Parameters by part of the model.
  public let parameters: [Item]
  /// Bytes of the fullest rank by use.
  public let memory: [Item]
  /// Images of a rank in one round of forward and backward.
  public let imagesPerRank: Int
  private let worldSize: Int

  /// Plans a run by training on one image, which tells what activations need.
  /// - Throws: `ConfigError` if the batch cannot be divided among that many ranks.
  public init(recipe: TokenizerRecipe, worldSize: Int) throws {
    self.worldSize = worldSize
    resolvedRecipe = try recipe.resolvedYAML()
    imagesPerRank = try recipe.batch.imagesPerRank(worldSize: worldSize)

    let model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    parameters = Self.parts(of: model)
    let imageBytes = recipe.model.resolution * recipe.model.resolution * 3 * 4
    let floats = model.parameterCount
    let share = (floats + worldSize - 1) / worldSize
    memory = [
      Item(name: "parameters", count: floats * 4),
      Item(name: "gradients", count: floats * 4),
      Item(name: "Adam's moments (own share)", count: share * 8),
      Item(name: "averaged weights (own share)", count: share * 4),
      Item(name: "activations", count: try Self.activationBytes(of: model, recipe: recipe) * imagesPerRank),
      Item(name: "images read ahead", count: imageBytes * imagesPerRank * (recipe.data.prefetchBatches + 1)),
    ]
  }

  /// The plan as a user reads it.
  public var text: String {
    func table(_ items: [Item], _ format: (Int) -> String) -> String {
      let width = items.map(\.name.count).max() ?? 0
      return items.map { item in
        let padding = String(repeating: " ", count: width - item.name.count)
        return "  \(item.name)\(padding)  \(format(item.count))\n"
      }.joined()
    }
    let total = Item(name: "total", count: memory.map(\.count).reduce(0, +))
    let allParameters = Item(name: "total", count: parameters.map(\.count).reduce(0, +))
    return resolvedRecipe + "\nparameters\n"
      + table(parameters + [allParameters]) { String(format: "%9.3f M", Double($0) / 1e6) }
      + "\nmemory of a rank, one of \(worldSize), at \(imagesPerRank) images a round\n"
      + table(memory + [total]) { String(format: "%9.2f GiB", Double($0) / 1_073_741_824) }
  }

  private static func parts(of model: TokenizerModel) -> [Item] {
    var order: [String] = []
    var counts: [String: Int] = [:]
    model.forEachParameter { name, parameter in
      let part = String(name.prefix { $0 != "." })
      if counts[part] == nil { order.append(part) }
      counts[part, default: 0] += parameter.count
    }
    return order.map { Item(name: $0, count: counts[$0] ?? 0) }
  }

  /// The most that one image occupies during forward and backward, at the largest keep count.
  private static func activationBytes(of model: TokenizerModel, recipe: TokenizerRecipe) throws -> Int {
    let arena = ParameterArena(model.parameters)
    arena.startStep()
    let resolution = recipe.model.resolution
    let image = Tensor(
      [Float](repeating: 0.5, count: resolution * resolution * 3), shape: [1, resolution, resolution, 3])
    let before = StoragePool.shared.statistics.liveBytes
    StoragePool.shared.resetPeak()
    let output = model(image, keep: recipe.model.keepCounts.max() ?? recipe.model.positionCount)
    let terms = try recipe.loss.objective(output, images: image, model: model) { _ in }
    terms.total.backward()
    return StoragePool.shared.statistics.peakLiveBytes - before
  }
}
