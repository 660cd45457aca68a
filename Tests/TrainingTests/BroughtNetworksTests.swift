import Checkpointing
import Foundation
import Layers
import Tensors
import Testing
import Tokenizer

@testable import Training

struct BroughtNetworksTests {
  /// A teacher of 64 channels in a file, and its path and hash.
  private func teacherFile(in folder: String) throws -> (path: String, sha256: String) {
    var config = Teacher.Config()
    (config.width, config.blocks, config.heads, config.patchSize, config.imageSize) = (64, 1, 1, 8, 16)
    var random = SplitMix64(seed: 4)
    let path = folder + "/teacher.safetensors"
    return (path, try Teacher(config, using: &random).write(published: path, metadata: [:]).sha256)
  }

  private func recipe(_ overrides: String...) throws -> TokenizerRecipe {
    try TokenizerRecipe.resolve(
      yaml: """
        model: {resolution: 16, channelMultipliers: [1, 1], channels: 32, attentionBlocks: 2, residualBlocks: 1,
          codeBits: 6, keepCounts: [49], defaultKeepCount: 49, headOutputs: 64, recoveryWidth: 0}
        run: {steps: 1}
        alignment: {kind: divergence, resolution: 16}
        """, named: "test", overrides: overrides)
  }

  @Test func whatIsNotThereIsOffAndSaysHowToBringIt() throws {
    let networks = try BroughtNetworks(recipe("loss.perceptual.weight=1"))
    #expect(networks.perceptual == nil && networks.teacher == nil)
    #expect(networks.notices.count == 2)
    #expect(networks.notices[0].contains("loss.perceptual.network.files"))
    #expect(networks.notices[1].contains("alignment.teacher.files"))
    #expect(networks.alignment(of: try recipe()) == nil)
    let labels = try recipe("alignment.kind=labels")
    #expect(try BroughtNetworks(labels).notices.isEmpty)
    #expect(networks.alignmentViews(of: labels).map(\.normalization) == [.symmetric])
  }

  @Test func aTeacherIsCheckedAgainstItsHashAndTheModel() throws {
    try withTemporaryFolder { folder in
      let (path, hash) = try teacherFile(in: folder)
      let good = try recipe(
        "alignment.teacher.files=['\(path)']", "alignment.teacher.sha256=[\(hash.prefix(12)), 01234567]")
      let networks = try BroughtNetworks(good)
      #expect(networks.teacher?.parameterCount ?? 0 > 0)
      #expect(networks.alignmentViews(of: good).map(\.normalization) == [.symmetric, .imageNet])

      for (overrides, key) in [
        (["alignment.teacher.sha256=[01234567]"], "alignment.teacher.sha256"),
        (["model.headOutputs=32"], "model.headOutputs"),
        (["alignment.resolution=20"], "alignment.resolution"), (["alignment.teacherHeads=3"], "alignment.teacherHeads"),
      ] {
        let recipe = try TokenizerRecipe.resolve(yaml: good.resolvedYAML(), named: "test", overrides: overrides)
        #expect(configError { _ = try BroughtNetworks(recipe) }?.key == key)
      }
      let foreign = try recipe(
        "alignment.kind=none", "loss.perceptual.weight=1", "loss.perceptual.network.files=['\(path)']")
      #expect(throws: UnfitWeights.self) { try BroughtNetworks(foreign) }
    }
  }

  @Test func publishedNamesOfLPIPSAreUnderstood() {
    let plain = PublishedNames.perceptual(names: ["features.0.weight"])
    #expect(plain.place("features.28.bias") == .parameters(["features.28.bias"]))
    #expect(plain.place("net.slice2.5.weight") == .parameters(["features.5.weight"]))
    #expect(plain.place("lin3.model.1.weight") == .parameters(["lin3.model.1.weight"]))
    for name in ["classifier.0.weight", "scaling_layer.shift", "lins.0.model.1.weight"] {
      #expect(plain.place(name) == .other(part: String(name.prefix { $0 != "." })))
    }
    let inside = PublishedNames.perceptual(names: [
      "loss.perceptual_loss.lin0.model.1.weight", "encoder.conv_in.weight",
    ])
    #expect(inside.place("loss.perceptual_loss.net.slice1.0.bias") == .parameters(["features.0.bias"]))
    #expect(inside.place("encoder.conv_in.weight") == .other(part: "encoder"))
  }

  @Test(arguments: [(4, 2, [0, 2]), (3, 2, [0, 2]), (5, 4, [0, 1, 3, 4]), (6, 6, [0, 1, 2, 3, 4, 5]), (7, 1, [0])])
  func elementsAreSelectedEvenly(size: Int, wanted: Int, expected: [Int]) {
    let row = (0..<size).map(Float.init)
    #expect(uniformSelection(row, shape: [size], to: [wanted]) == expected.map(Float.init))
    let square = (0..<size * size).map(Float.init)
    #expect(
      uniformSelection(square, shape: [size, size], to: [wanted, wanted])
        == expected.flatMap { row in expected.map { Float(row * size + $0) } })
    #expect(uniformSelection(row, shape: [size], to: [size + 1]) == nil)
    #expect(uniformSelection(row, shape: [size], to: [1, wanted]) == nil)
  }

  @Test func anEncoderBeginsWithElementsOfALargerTransformer() throws {
    try withTemporaryFolder { folder in
      // A tokenizer's own encoder of twice the width stands for the transformer: its blocks have the same names.
      let large = TokenizerModel(try recipe("model.channels=64").model, seed: 8)
      let path = folder + "/transformer.safetensors"
      try Prefixed(
        large.encoder.parameters.filter { $0.name.hasPrefix("attn.") }.map {
          (String($0.name.dropFirst("attn.".count)), $0.parameter)
        }
      ).write(published: path, metadata: [:])
      let model = TokenizerModel(try recipe().model, seed: 9)
      let before = model.parameters.map { $0.parameter.published() }
      let count = try model.initializeEncoder(from: [WeightFile.open(path)])
      #expect(count == model.encoder.parameters.count { $0.name.hasPrefix("attn.") })

      let source = Dictionary(large.encoder.parameters.map { ($0.name, $0.parameter) }) { $1 }
      for ((name, parameter), old) in zip(model.parameters, before) {
        guard name.hasPrefix("encoder.attn.") else {
          #expect(parameter.published() == old, "\(name)")
          continue
        }
        let from = try #require(source[String(name.dropFirst("encoder.".count))])
        let expected = uniformSelection(from.published(), shape: from.publishedShape, to: parameter.publishedShape)
        #expect(parameter.published() == expected, "\(name)")
      }
      let larger = TokenizerModel(try recipe("model.channels=96").model, seed: 1)
      #expect(throws: UnfitWeights.self) { try larger.initializeEncoder(from: [WeightFile.open(path)]) }
    }
  }

  @Test(arguments: [
    "loss.adversarial.weight=-1", "loss.adversarial.adaptive=true", "loss.adversarial.layers=0",
    "loss.perceptual.network.files=[a]", "loss.perceptual.network.sha256=[12G45678]", "alignment.resolution=15",
    "alignment.temperature=0", "model.head=none", "alignment.strongView.cropArea=[0.5]",
  ])
  func sectionsThatCannotWorkAreRefusedWhereTheyAreWritten(override: String) throws {
    let error = configError { _ = try recipe(override) }
    #expect(error?.origin == "--set \(override)", "\(String(describing: error))")
  }

  @Test func theRecipeOfGRD64HasThePublishedSizes() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Launch/recipes").standardized.path
    let recipe = try TokenizerRecipe.resolve(path: folder + "/tokenizer-gr-d64.yaml")
    let parts = Dictionary(RunPlan.parts(of: TrainedNetworks(recipe)).map { ($0.name, $0.count) }) { $1 }
    // 69.49 M with its head, 83.37 M; PatchGAN of 64 channels and 3 layers.
    #expect(parts["encoder"] == 69_487_186)
    #expect(parts["decoder"] == 83_367_235)
    #expect(parts["discriminator"] == 2_765_633)
    #expect(
      recipe.optimizer.learningRateSchedule(totalSteps: 1, stepsPerEpoch: 10).shape
        == .drops(at: [1700, 1900], factor: 0.1))
  }

  @Test func aDiscriminatorNeedsImagesOfItsSize() {
    let error = configError { _ = try recipe("loss.adversarial.weight=0.1") }
    #expect(error?.key == "loss.adversarial.layers")
    #expect(error?.problem.contains("24 pixels") == true)
  }

  /// Parameters under other names.
  private struct Prefixed: Module {
    let all: [(name: String, parameter: Parameter)]
    init(_ all: [(String, Parameter)]) { self.all = all.map { (name: $0.0, parameter: $0.1) } }
    func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
      all.forEach { body($0.name, $0.parameter) }
    }
  }
}
