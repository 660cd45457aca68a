import Checkpointing
import Foundation
import Layers
import Tensors
import Testing
import Tokenizer

@testable import Training

/// Published files become weight files without the change of a bit, or with every difference named.
struct WeightImportTests {
  private static let recipe: TokenizerRecipe = {
    var recipe = TokenizerRecipe()
    recipe.run.steps = 1
    recipe.model.resolution = 16
    recipe.model.channels = 32
    recipe.model.channelMultipliers = [1, 1]
    recipe.model.residualBlocks = 1
    recipe.model.extraResidualBlocks = 0
    recipe.model.attentionBlocks = 2
    recipe.model.encoderHeads = 2
    recipe.model.decoderHeads = 2
    recipe.model.codeBits = 6
    recipe.model.keepCounts = [49, 64]
    recipe.model.defaultKeepCount = 49
    recipe.model.representationBlocks = 1
    recipe.model.headOutputs = 5
    recipe.model.recoveryWidth = 32
    recipe.model.recoveryBlocks = 1
    recipe.model.recoveryHeads = 2
    return recipe
  }()

  private typealias Weights = [(name: String, shape: [Int], elements: [Float])]

  private func weights(seed: UInt64) -> Weights {
    TokenizerModel(Self.recipe.model, seed: seed).parameters.map {
      ($0.name, $0.parameter.publishedShape, $0.parameter.published())
    }
  }

  /// What the authors' trainer saves: trained values, averages under flat names, and other things.
  private func published(trained: Weights, averaged: Weights) -> Weights {
    trained
      + averaged.map { ("model_ema." + $0.name.filter { $0 != "." }, $0.shape, $0.elements) }
      + [
        ("model_ema.decay", [], [0.999]), ("loss.discriminator.main.0.weight", [1], [1]),
        ("loss.perceptual_loss.lin0.model.1.weight", [1], [1]), ("quantize.mask", [1], [1]),
      ]
  }

  private func importing(
    _ tensors: Weights, as network: PublishedNetwork = .tokenizer, choice: WeightChoice = .average,
    allowedMissing: [String] = [], recipe: TokenizerRecipe = Self.recipe
  ) throws -> (file: Safetensors, report: String) {
    // The file stays readable after its name is gone.
    try withTemporaryFolder { folder in
      try Safetensors.write(tensors, to: folder + "/published.safetensors")
      var options = PublishedWeights.Options()
      options.recipe = recipe
      options.weights = choice
      options.allowedMissing = allowedMissing
      let output = folder + "/imported.safetensors"
      do {
        let report = try PublishedWeights(network, paths: [folder + "/published.safetensors"], options: options)
          .write(to: NewOutput(output), listing: false)
        return (try Safetensors(path: output), report)
      } catch {
        #expect(!FileManager.default.fileExists(atPath: output))
        throw error
      }
    }
  }

  private func expect(_ file: Safetensors, equals weights: Weights) throws {
    #expect(file.names == weights.map(\.name).sorted())
    for tensor in weights {
      #expect(try file.shape(of: tensor.name) == tensor.shape, "\(tensor.name)")
      #expect(try file.floats(tensor.name) == tensor.elements, "\(tensor.name)")
    }
  }

  @Test func averagesOrTrainedValuesOfAPublishedTokenizerAreTakenBitForBit() throws {
    let (trained, averaged) = (weights(seed: 1), weights(seed: 2))
    let tensors = published(trained: trained, averaged: averaged)
    let average = try importing(tensors)
    try expect(average.file, equals: averaged)
    #expect(average.report.contains("\(trained.count) parameters matched, 0 missing, 0 unexpected"))
    #expect(average.report.contains("not needed: 1 tensors of loss.discriminator"))
    try expect(importing(tensors, choice: .trained).file, equals: trained)
    // A file without averages has one set only.
    try expect(importing(trained).file, equals: trained)
  }

  @Test func aWeightFileIsATokenizerAndExportsToItself() throws {
    try withTemporaryFolder { folder in
      let model = TokenizerModel(Self.recipe.model, seed: 3)
      let file = folder + "/file.safetensors"
      try model.write(published: file, metadata: ["recipe": Self.recipe.resolvedYAML()])
      let tokenizer = try TrainedTokenizer(path: file)
      #expect(tokenizer.recipe == Self.recipe)
      try tokenizer.export(to: folder + "/exported.safetensors")
      try expect(Safetensors(path: folder + "/exported.safetensors"), equals: weights(seed: 3))
      #expect(try TrainedTokenizer(path: folder + "/exported.safetensors").fingerprint == tokenizer.fingerprint)

      model.parameters[0].parameter.value.pointer[0] += 1
      try model.write(published: folder + "/other.safetensors", metadata: ["recipe": Self.recipe.resolvedYAML()])
      #expect(try TrainedTokenizer(path: folder + "/other.safetensors").fingerprint != tokenizer.fingerprint)
      // Without a recipe, nobody knows what the weights are.
      try model.write(published: folder + "/bare.safetensors", metadata: [:])
      let error = try #require(throws: ConfigError.self) { try TrainedTokenizer(path: folder + "/bare.safetensors") }
      #expect(error.description.contains("checkpoint import \(folder)/bare.safetensors --as tokenizer"))
    }
  }

  @Test func everyDifferenceIsNamedAndNothingIsWritten() throws {
    var tensors = weights(seed: 1)
    let missing = tensors.remove(at: 3).name
    tensors[5].shape += [1]
    tensors.append(("decoder.up.9.strange", [2], [1, 2]))
    let error = try #require(throws: UnfitWeights.self) { try importing(tensors) }
    #expect(error.exitStatus == 74)
    #expect(error.report.contains("1 missing, 1 unexpected, 1 of another shape"))
    #expect(error.report.contains("\nmissing: \(missing)\n"))
    #expect(error.report.contains("\nunexpected: decoder.up.9.strange [2]\n"))
    #expect(error.report.contains("\nshape: \(tensors[5].name) is \(tensors[5].shape), expected "))
  }

  @Test func whatMayBeMissingStaysAtItsInitialValues() throws {
    let tensors = weights(seed: 1).filter { !$0.name.hasPrefix("recovery.") }
    let (file, report) = try importing(tensors, allowedMissing: ["recovery"])
    #expect(report.contains("stays at its random initial value"))
    let initial = TokenizerModel(Self.recipe.model, seed: Self.recipe.run.seed).parameters
    for (name, parameter) in initial where name.hasPrefix("recovery.") {
      #expect(try file.floats(name) == parameter.published())
    }
    #expect(file.metadata["initial"]?.contains("recovery.rec_embed.weight") == true)
    // A beginning of a word is not a name.
    #expect(throws: UnfitWeights.self) { try importing(tensors, allowedMissing: ["reco"]) }
  }

  @Test(arguments: ["hub", "original"])
  func aTeacherIsReadUnderBothOfItsPublishedNamings(naming: String) throws {
    var config = Teacher.Config()
    (config.width, config.blocks, config.heads, config.imageSize) = (8, 2, 2, 28)
    var random = SplitMix64(seed: 5)
    let ours: Weights = Teacher(config, using: &random).parameters.map {
      ($0.name, $0.parameter.publishedShape, $0.parameter.published())
    }
    let (file, _) = try importing(naming == "hub" ? hubNames(ours) : originalNames(ours), as: .teacher)
    try expect(file, equals: ours)
    let error = try #require(throws: UnfitWeights.self) {
      try importing(Array(hubNames(ours).dropFirst()), as: .teacher)
    }
    #expect(error.report.contains("embeddings.cls_token"))
  }

  @Test func lpipsIsReadFromOneFileOrFromTwo() throws {
    var random = SplitMix64(seed: 6)
    let ours: Weights = PerceptualLoss(using: &random).parameters.map {
      ($0.name, $0.parameter.publishedShape, $0.parameter.published())
    }
    // As the package keeps it, in a tokenizer's checkpoint: slices of VGG-16, the same linear layers twice.
    let slices = ours.map { tensor in
      (
        name: "loss.perceptual_loss." + tensor.name.replacingOccurrences(of: "features.", with: "net.slice1."),
        shape: tensor.shape, elements: tensor.elements
      )
    }
    let others: Weights = [
      ("encoder.conv_in.weight", [1], [1]), ("loss.perceptual_loss.scaling_layer.shift", [3], [1, 2, 3]),
    ]
    try expect(importing(slices + others, as: .lpips).file, equals: ours)
    // torchvision's network in one file, the linear weights in another.
    try withTemporaryFolder { folder in
      let paths = [folder + "/vgg16.safetensors", folder + "/vgg.safetensors"]
      let classifier: Weights = [("classifier.0.weight", [2], [1, 2])]
      try Safetensors.write(ours.filter { $0.name.hasPrefix("features") } + classifier, to: paths[0])
      try Safetensors.write(
        ours.filter { $0.name.hasPrefix("lin") }.map {
          ($0.name.replacingOccurrences(of: "model.1", with: "model.0"), $0.shape, $0.elements)
        }, to: paths[1])
      _ = try PublishedWeights(.lpips, paths: paths, options: PublishedWeights.Options())
        .write(to: NewOutput(folder + "/lpips.safetensors"), listing: true)
      try expect(Safetensors(path: folder + "/lpips.safetensors"), equals: ours)
      let half = try #require(throws: UnfitWeights.self) {
        try PublishedWeights(.lpips, paths: [paths[0]], options: PublishedWeights.Options())
          .write(to: NewOutput(folder + "/half.safetensors"), listing: false)
      }
      #expect(half.report.contains("missing: lin0.model.1.weight"))
    }
  }

  private func hubNames(_ weights: Weights) -> Weights {
    weights.map { tensor in
      var name = tensor.name
      for (new, old) in [
        ("attention.q_proj", "attention.attention.query"), ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"), ("attention.o_proj", "attention.output.dense"),
      ] {
        name = name.replacingOccurrences(of: new, with: old)
      }
      return (name, tensor.shape, tensor.elements)
    }
  }

  private func originalNames(_ weights: Weights) -> Weights {
    var result: Weights = []
    let byName = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) })
    for tensor in weights {
      if tensor.name.contains("q_proj") {
        let parts = ["q", "k", "v"].compactMap {
          byName[tensor.name.replacingOccurrences(of: "q_proj", with: "\($0)_proj")]
        }
        let name = tensor.name.replacingOccurrences(of: "attention.q_proj", with: "attn.qkv")
        result.append(
          (original(name), [3 * tensor.shape[0]] + tensor.shape.dropFirst(), parts.flatMap(\.elements)))
      } else if !tensor.name.contains("k_proj"), !tensor.name.contains("v_proj") {
        result.append((original(tensor.name), tensor.shape, tensor.elements))
      }
    }
    return result
  }

  private func original(_ name: String) -> String {
    var name = name
    for (ours, theirs) in [
      ("encoder.layer.", "blocks."), ("attention.o_proj", "attn.proj"), ("layer_scale1.lambda1", "ls1.gamma"),
      ("layer_scale2.lambda1", "ls2.gamma"), ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
      ("embeddings.position_embeddings", "pos_embed"), ("embeddings.", ""), ("layernorm", "norm"),
    ] {
      name = name.replacingOccurrences(of: ours, with: theirs)
    }
    return name
  }
}
