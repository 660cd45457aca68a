import Generator
import Kernels
import Tensors

extension RunPlan {
  /// Plans a generator run by training on the codes of a few images, which tells what activations need.
  ///
  /// Where the recipe names codes, they tell the classes; a recipe without codes must say `model.classCount`.
  /// - Throws: `ConfigError` if the batch cannot be divided among that many ranks or the classes are not known;
  ///   `CodeFileError` if the codes cannot be used.
  public init(recipe: GeneratorRecipe, worldSize: Int) throws {
    let programBytes = ComputeRate.memoryOfProcess ?? 0
    var recipe = recipe
    let images = try recipe.batch.imagesPerRank(worldSize: worldSize)
    var drawing: SampleDrawing?
    var mappedBytes = 0
    var notices: [String] = []
    if let directory = recipe.data.codes {
      let dataset = try CodeDataset(directory: directory)
      let codes = dataset.content.properties
      mappedBytes =
        dataset.byteCount + (try recipe.data.validation.map { try CodeDataset(directory: $0).byteCount } ?? 0)
      recipe = try recipe.fitted(to: codes)
      drawing = SampleDrawing.ofValidations(recipe, codes: codes) { notices.append($0) }
    } else if recipe.model.classCount == 0 {
      throw ConfigError(
        key: "model.classCount", problem: "is 0, and there are no codes to take it from; set data.codes or classCount")
    }
    let model = Transformer(recipe.model, seed: recipe.run.seed)
    let round = Self.cost(of: model, recipe: recipe, samples: images)
    self.init(
      resolvedRecipe: try recipe.resolvedYAML(), model: model, worldSize: worldSize, samplesPerRank: images,
      programBytes: programBytes, round: round,
      // A code per kept token, and the token of every position.
      dataBytes: 4 * 2 * recipe.model.positionCount * images, mappedBytes: mappedBytes,
      samplingBytes: drawing.map { Self.bytes(of: $0, model: model, beside: round) } ?? 0, notices: notices)
  }

  /// What the first rank needs besides while it draws samples: the tokenizer, and what the weights as sampling lays them
  /// out, the cache and a picture take beyond the activations of a round, which are gone then.
  private static func bytes(of drawing: SampleDrawing, model: Transformer, beside round: RoundCost) -> Int {
    let drawingBytes = StoragePool.shared.peakGrowth {
      drawing.rehearse(imageCount: GeneratorTask.sampleCount, by: Generator.Sampler(model), config: model.config)
    }
    return 4 * drawing.pictures.tokenizer.model.parameterCount + max(0, drawingBytes - round.activationBytes)
  }

  /// What a round of training needs and computes at the largest keep count.
  private static func cost(of model: Transformer, recipe: GeneratorRecipe, samples: Int) -> RoundCost {
    let arena = ParameterArena(model.parameters)
    let keep = recipe.model.keepCounts.last ?? recipe.model.positionCount
    let groups = (0..<recipe.model.positionCount).map { Int32($0 * keep / recipe.model.positionCount) }
    return RoundCost(
      samples: samples, accumulation: recipe.batch.accumulation, arenas: [arena],
      recomputation: recipe.run.recomputation
    ) { count in
      var batch = CodeBatch(keepCount: keep, firstGlobalIndex: 0)
      batch.labels = [Int32](repeating: 0, count: count)
      batch.codes = [Int32](repeating: 0, count: count * keep)
      batch.groups = (0..<count).flatMap { _ in groups }
      model.loss(of: batch, classes: batch.labels, draws: TrainingDraws(seed: 0, firstSample: 0)).total.backward()
    }
  }
}
