import Collectives
import Layers
import Tensors
import Testing
import Tokenizer

@testable import Training

private let smallRecipe = """
  model: {resolution: 16, channels: 32, channelMultipliers: [1, 1], residualBlocks: 1, extraResidualBlocks: 0,
    attentionBlocks: 2, encoderHeads: 2, decoderHeads: 2, codeBits: 6, keepCounts: [49], defaultKeepCount: 49,
    head: layer2, headOutputs: 12, recoveryWidth: 16, recoveryBlocks: 1, recoveryHeads: 2, layerScale: 0.1}
  run: {steps: 1}
  loss: {adversarial: {weight: 0.3, channels: 8, layers: 2}}
  """

/// A small tokenizer with its opponent, one rank, two images.
private struct Setting {
  let recipe: TokenizerRecipe
  let model: TokenizerModel
  let arena: ParameterArena
  let adversary: Adversary
  let adversaryArena: ParameterArena
  let step: StageOneStep
  let input: StageOneStep.Input

  init(_ overrides: String...) throws {
    recipe = try TokenizerRecipe.resolve(yaml: smallRecipe, named: "test", overrides: overrides)
    model = TokenizerModel(recipe.model, seed: 1)
    arena = ParameterArena(model.parameters)
    adversary = Adversary(try #require(recipe.loss.adversarial.settings), seed: 2)
    adversaryArena = ParameterArena(adversary.namedParameters)
    step = StageOneStep(
      recipe, model: model, networks: BroughtNetworks(), adversary: (adversary, adversaryArena),
      communicator: SingleCommunicator())
    var random = SplitMix64(seed: 3)
    input = StageOneStep.Input(
      images: .uniform(in: -1...1, shape: [2, 16, 16, 3], using: &random),
      student: .uniform(in: -1...1, shape: [2, 12, 12, 3], using: &random), labels: [3, 11], firstIndex: 0)
    arena.startStep()
    adversaryArena.startStep()
  }

  func run(step index: Int = 0, scale: Float = 1) throws -> [String: Double] {
    let values = try step.accumulateGradients(input, step: index, keep: 49, scale: scale).values
    return Dictionary(values.map { ($0.name, $0.value) }) { $1 }
  }

  func opposed(_ images: Tensor) throws -> Tensor {
    let logits = try adversary.discriminator(images, synchronization: BatchSynchronization())
    return adversary.settings.generatorLoss(fake: logits)
  }

  var gradients: [Float] {
    arena.finishGradients()
    return Array(arena.gradients)
  }

  var adversaryGradients: [Float] {
    adversaryArena.finishGradients()
    return Array(adversaryArena.gradients)
  }
}

private func norm(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }

private func distance(_ a: [Float], _ b: [Float]) -> Double { norm(zip(a, b).map { $0 - $1 }) / norm(b) }

struct StageOneStepTests {
  @Test func theGeneratorsGradientIsThatOfOneTape() throws {
    let split = try Setting()
    let values = try split.run(scale: 0.5)

    let whole = try Setting()
    let output = whole.model(whole.input.images, keep: 49)
    let terms = try whole.recipe.loss.objective(output, images: whole.input.images, model: whole.model)
    let total = try whole.adversaryArena.frozen { terms.total + 0.3 * (try whole.opposed(output.reconstruction)) }
    total.backward(scale: 0.5)
    #expect(distance(split.gradients, whole.gradients) < 1e-5)
    #expect(abs(try #require(values["loss"]) - Double(total.item)) < 1e-5)
    #expect(norm(whole.adversaryGradients) == 0)
  }

  @Test func theDiscriminatorsGradientIsItsOwnAndAddsUpOverRounds() throws {
    let mixed = try Setting()
    _ = try mixed.run(scale: 0.5)
    let first = mixed.adversaryGradients
    _ = try mixed.run(scale: 0.5)

    let alone = try Setting()
    let fake = alone.model(alone.input.images, keep: 49).reconstruction
    _ = try alone.adversary.accumulateGradients(real: alone.input.images, fake: fake, scale: 1)
    #expect(norm(alone.gradients) == 0)
    #expect(distance(first.map { 2 * $0 }, alone.adversaryGradients) < 1e-5)
    // The second round differs by LeCAM's averages alone, which have hardly moved.
    #expect(distance(mixed.adversaryGradients, alone.adversaryGradients) < 1e-3)
  }

  @Test func theAdaptiveWeightComparesGradientsAtTheLastLayer() throws {
    let adaptive = try Setting("loss.adversarial.adaptive=true", "loss.adversarial.weight=0.8")
    let values = try adaptive.run()

    func lastLayerNorm(_ loss: (Setting, TokenizerModel.Output) throws -> Tensor) throws -> Double {
      let setting = try Setting()
      let output = setting.model(setting.input.images, keep: 49)
      try setting.adversaryArena.frozen { try loss(setting, output).backward() }
      let entry = try #require(setting.arena.entries.first { $0.name == "decoder.conv_out.weight" })
      return norm(Array(setting.gradients[entry.range]))
    }
    let pixels = try lastLayerNorm { meanAbsoluteError($1.reconstruction, to: $0.input.images) }
    let opposed = try lastLayerNorm { try $0.opposed($1.reconstruction) }
    #expect(opposed > 0)
    let expected = 0.8 * pixels / (opposed + 1e-4)
    #expect(abs(try #require(values["adversarialWeight"]) - expected) < 1e-4 * expected)
  }

  @Test func nothingOfTheAdversaryMovesBeforeItsStart() throws {
    let setting = try Setting("loss.adversarial.startStep=4")
    let before = setting.adversary.memory
    let values = try setting.run(step: 3)
    #expect(values["discriminator"] == nil && values["adversarial"] == nil)
    #expect(setting.adversary.memory == before)
    #expect(norm(setting.adversaryGradients) == 0)
    #expect(try setting.run(step: 4)["discriminator"] != nil)
    #expect(setting.adversary.memory != before)
  }

  @Test func whatTheAdversaryRemembersFitsOnlyItsOwnKind() throws {
    let setting = try Setting()
    _ = try setting.run()
    let twin = try Setting()
    #expect(twin.adversary.memory != setting.adversary.memory)
    #expect(twin.adversary.restore(setting.adversary.memory))
    #expect(twin.adversary.memory == setting.adversary.memory)
    #expect(try !Setting("loss.adversarial.channels=16").adversary.restore(setting.adversary.memory))
  }

  @Test func alignmentTrainsTheHeadOnTheStudentsOwnView() throws {
    let setting = try Setting("alignment.kind=labels", "alignment.weight=0.5", "alignment.resolution=12")
    let values = try setting.run()
    let student = setting.model.encoder.representation(
      try #require(setting.input.student).detached, keep: 49)
    let expected = crossEntropy(student, targets: [3, 11], labelSmoothing: 0.1).item
    #expect(abs(try #require(values["alignment"]) - Double(expected)) < 1e-5)
    let head = try #require(setting.arena.entries.first { $0.name.hasPrefix("encoder.dist_head.0.weight") })
    #expect(norm(Array(setting.gradients[head.range])) > 0)
    let plain = try Setting()
    _ = try plain.run()
    #expect(norm(Array(plain.gradients[head.range])) == 0)
  }
}
