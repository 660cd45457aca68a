import Generator
import Kernels
import Tensors

extension RunPlan {
  /// Plans a generator run by training on codes of one image, which tells what activations need.
  ///
  /// Where the recipe names codes, they tell the classes; a recipe without codes must say `model.classCount`.
  /// - Throws: `ConfigError` if the batch cannot be divided among that many ranks or the classes are not known;
  ///   `CodeFileError` if the codes cannot be used.
  public init(recipe: GeneratorRecipe, worldSize: Int) throws {
    var recipe = recipe
    let images = try recipe.batch.imagesPerRank(worldSize: worldSize)
    if let codes = recipe.data.codes {
      recipe = try recipe.fitted(to: CodeDataset(directory: codes).content.properties)
    } else if recipe.model.classCount == 0 {
      throw ConfigError(
        key: "model.classCount", problem: "is 0, and there are no codes to take it from; set data.codes or classCount")
    }
    let model = Transformer(recipe.model, seed: recipe.run.seed)
    let (activationBytes, operations) = Self.cost(of: model, recipe: recipe)
    self.init(
      resolvedRecipe: try recipe.resolvedYAML(), model: model, worldSize: worldSize, samplesPerRank: images,
      activationBytes: activationBytes * images, operationsPerSample: operations,
      // A code per kept token, and the token of every position.
      dataBytes: 4 * 2 * recipe.model.positionCount * images)
  }

  /// The most that one image occupies during forward and backward, at the largest keep count, and what it computes.
  private static func cost(
    of model: Transformer, recipe: GeneratorRecipe
  ) -> (activationBytes: Int, operations: Int) {
    let arena = ParameterArena(model.parameters)
    arena.startStep()
    let keep = recipe.model.keepCounts.last ?? recipe.model.positionCount
    var batch = CodeBatch(keepCount: keep, firstGlobalIndex: 0)
    batch.labels = [0]
    batch.codes = [Int32](repeating: 0, count: keep)
    batch.groups = (0..<recipe.model.positionCount).map { Int32($0 * keep / recipe.model.positionCount) }
    let before = StoragePool.shared.statistics.liveBytes
    StoragePool.shared.resetPeak()
    let operations = OperationCount.of {
      Recomputation.$current.withValue(recipe.run.recomputation) {
        model.loss(of: batch, classes: [0], draws: TrainingDraws(seed: 0, firstSample: 0)).total.backward()
      }
    }
    return (StoragePool.shared.statistics.peakLiveBytes - before, operations)
  }
}
