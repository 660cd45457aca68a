import Collectives
import Kernels
import Layers
import Tensors
import Tokenizer

extension RunPlan {
  /// Plans a tokenizer run by training on a few images, which tells what activations need. The networks that the recipe
  /// brings along are loaded, so what is wrong with them shows here.
  /// - Throws: `ConfigError` if the batch cannot be divided among that many ranks, or a network does not fit;
  ///   `CheckpointError` and `UnfitWeights` if one cannot be read.
  public init(recipe: TokenizerRecipe, worldSize: Int) throws {
    let programBytes = ComputeRate.memoryOfProcess ?? 0
    let images = try recipe.batch.imagesPerRank(worldSize: worldSize)
    let networks = try BroughtNetworks(recipe)
    let trained = TrainedNetworks(recipe)
    let pixels =
      recipe.model.resolution * recipe.model.resolution
      + networks.alignmentViews(of: recipe).reduce(0) { $0 + $1.resolution * $1.resolution }
    let frozen = (networks.perceptual?.parameterCount ?? 0) + (networks.teacher?.parameterCount ?? 0)
    let round = try Self.cost(of: trained, networks, recipe, samples: images)
    self.init(
      resolvedRecipe: try recipe.resolvedYAML(), model: trained, worldSize: worldSize, samplesPerRank: images,
      programBytes: programBytes, round: round,
      dataBytes: pixels * 3 * 4 * images * (recipe.data.prefetchBatches + 1), frozenBytes: frozen * 4,
      statisticsBytes: (4 << recipe.model.codeBits) * recipe.batch.accumulation,
      notices: networks.notices)
  }

  /// What a round of training needs and computes at the largest keep count.
  private static func cost(
    of trained: TrainedNetworks, _ networks: BroughtNetworks, _ recipe: TokenizerRecipe, samples: Int
  ) throws -> RoundCost {
    let arena = ParameterArena(trained.model.parameters)
    let adversary = trained.adversary.map { (player: $0, arena: ParameterArena($0.namedParameters)) }
    let step = StageOneStep(
      recipe, model: trained.model, networks: networks, adversary: adversary, communicator: SingleCommunicator())
    return try RoundCost(
      samples: samples, accumulation: recipe.batch.accumulation, arenas: [arena] + (adversary.map { [$0.arena] } ?? []),
      recomputation: recipe.run.recomputation
    ) { count in
      func images(_ resolution: Int) -> Tensor { Tensor(repeating: 0.5, shape: [count, resolution, resolution, 3]) }
      let views = networks.alignmentViews(of: recipe).map { images($0.resolution) }
      let input = StageOneStep.Input(
        images: images(recipe.model.resolution), student: views.first, teacher: views.count > 1 ? views[1] : nil,
        labels: [Int32](repeating: 0, count: count), firstIndex: 0)
      _ = try step.accumulateGradients(
        input, step: recipe.loss.adversarial.startStep,
        keep: recipe.model.keepCounts.max() ?? recipe.model.positionCount, scale: 1)
    }
  }
}

/// Everything that a tokenizer run trains.
struct TrainedNetworks: Module {
  let model: TokenizerModel
  let adversary: Adversary?

  /// With random weights.
  init(_ recipe: TokenizerRecipe) {
    model = TokenizerModel(recipe.model, seed: recipe.run.seed)
    adversary = recipe.loss.adversarial.settings.map { Adversary($0, seed: recipe.run.seed) }
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    model.forEachParameter(body)
    adversary?.discriminator.forEachParameter(under: "discriminator", body)
  }
}
