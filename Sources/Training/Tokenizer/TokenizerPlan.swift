import Kernels
import Tensors
import Tokenizer

extension RunPlan {
  /// Plans a tokenizer run by training on one image, which tells what activations need.
  /// - Throws: `ConfigError` if the batch cannot be divided among that many ranks.
  public init(recipe: TokenizerRecipe, worldSize: Int) throws {
    let images = try recipe.batch.imagesPerRank(worldSize: worldSize)
    let model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    let imageBytes = recipe.model.resolution * recipe.model.resolution * 3 * 4
    self.init(
      resolvedRecipe: try recipe.resolvedYAML(), model: model, worldSize: worldSize, samplesPerRank: images,
      activationBytes: try Self.activationBytes(of: model, recipe: recipe) * images,
      dataBytes: imageBytes * images * (recipe.data.prefetchBatches + 1))
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
