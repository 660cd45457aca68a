import Checkpointing
import Foundation
import Layers
import Tensors
import TestSupport
import Testing
import Tokenizer

/// The tokenizer against the reference implementation's numbers.
struct TokenizerParityTests {
  @Test(arguments: Fixture.all(ofKind: "tokenizer"), ConvolutionPrecision.allCases)
  func forwardLossesAndGradientsAgree(fixture: Fixture, precision: ConvolutionPrecision) throws {
    try ConvolutionPrecision.$current.withValue(precision) { try compare(fixture, precision) }
  }

  private func compare(_ fixture: Fixture, _ precision: ConvolutionPrecision) throws {
    let file = try fixture.open()
    let config = try TokenizerConfig(fixture: Fixture.object("config", of: file))
    let model = TokenizerModel(config, seed: 1)
    let arena = ParameterArena(model.parameters)
    try load(model, from: file, prefix: "weights.")
    let keep = config.positionCount - (try integer("merge_num", Fixture.object("config", of: file)))

    let image = try channelsLast(file, "input.image").trackingGradient
    let output = model(image, keep: keep)
    let student = try channelsLast(file, "input.image_aug")
    let head = model.encoder.representation(student, keep: keep)

    // Forward.
    expectClose(published(tokens: output.latent), try file.floats("output.latent"), "latent")
    #expect(output.indices == (try file.int32s("output.indices")), "indices")
    #expect(source(of: output, keep: output.latent.shape[1]) == (try file.floats("output.source")), "source matrix")
    expectClose(gatherTokens(output.quantized, output.groups).values, try file.floats("output.full_tokens"), "tokens")
    expectClose(
      published(images: output.reconstruction), try file.floats("output.reconstruction"), "reconstruction")
    expectClose(head.values, try file.floats("output.head"), "head")

    // Losses.
    let losses = try Fixture.object("losses", of: file).compactMapValues { $0 as? Double }
    let objective = TokenizerObjective()
    let terms = try objective(output, images: image.detached, model: model)
    let named = Dictionary(terms.named.map { ($0.name, Double($0.value)) }) { $1 }
    let teacher = Tensor(try file.floats("input.teacher"), shape: head.shape)
    let alignment = softmaxDivergence(student: head, teacher: teacher, temperature: 4)
    for (name, key) in [
      ("l1", "l1"), ("sampleEntropy", "pse"), ("batchEntropy", "cbe"), ("commitment", "commit"), ("source", "sl"),
    ] {
      // The sample entropy amplifies the latent's rounding by 4/τ = 400, which shows with F(4×4).
      let tolerance = name == "sampleEntropy" && precision == .fast ? 2e-4 : 1e-5
      expectClose(named[name] ?? .nan, losses[key] ?? .nan, name, relative: tolerance)
    }
    expectClose(Double(alignment.item), losses["kl"] ?? .nan, "kl")
    let total = terms.total + 0.5 * alignment
    expectClose(Double(total.item), losses["loss"] ?? .nan, "loss")

    // Gradients.
    arena.startStep()
    total.backward()
    arena.finishGradients()
    for entry in arena.entries {
      expectCloseGradient(
        entry.parameter.published(from: entry.parameter.gradient.pointer), try file.floats("grads.\(entry.name)"),
        entry.name)
    }
    if file.description(of: "grads.input.image") != nil {
      expectCloseGradient(published(images: image.gradient), try file.floats("grads.input.image"), "image")
    }
  }

  @Test(arguments: Fixture.all(ofKind: "tokenizer"))
  func everyPublishedWeightHasItsParameter(fixture: Fixture) throws {
    let file = try fixture.open()
    let config = try TokenizerConfig(fixture: Fixture.object("config", of: file))
    let parameters = TokenizerModel(config, seed: 1).parameters
    let expected = file.names.filter { $0.hasPrefix("weights.") }.map { String($0.dropFirst("weights.".count)) }
    #expect(Set(parameters.map(\.name)) == Set(expected))
    for (name, parameter) in parameters {
      #expect(parameter.publishedShape == (try file.shape(of: "weights.\(name)")), "\(name)")
    }
  }

  @Test func publishedSizesHaveTheirParameterCounts() {
    // G+R-d64 with its head: 69.49 M and 83.37 M (paper's configuration).
    let model = TokenizerModel(TokenizerConfig(), seed: 0)
    #expect(model.encoder.parameterCount == 69_487_186)
    #expect(model.decoder.parameterCount == 83_367_235)
  }
}

extension TokenizerConfig {
  /// A configuration in the reference implementation's names.
  init(fixture: [String: Any]) throws {
    self.init()
    resolution = try integer("resolution", fixture)
    channels = try integer("ch", fixture)
    channelMultipliers = fixture["ch_mult"] as? [Int] ?? []
    codeBits = try integer("z_channels", fixture)
    residualBlocks = try integer("num_res_blocks", fixture)
    extraResidualBlocks = fixture["num_res_extra"] as? Int ?? 1
    attentionBlocks = try integer("num_att_blocks", fixture)
    isotropicWidth = fixture["isotropic"] as? Int ?? 0
    if fixture["isotropic"] as? Bool == false { isotropicWidth = 0 }
    decoderHeads = try integer("num_heads", fixture)
    encoderHeads = (fixture["head_dim"] as? Int).map { encoderWidth / $0 } ?? decoderHeads
    recoveryWidth = fixture["rec_embed_dim"] as? Int ?? 0
    recoveryBlocks = fixture["rec_layers"] as? Int ?? 1
    recoveryHeads = fixture["rec_heads"] as? Int ?? 1
    head = (fixture["dist_head"] as? String).map { $0 == "layer3" ? .layer3 : .layer2 } ?? .none
    headOutputs = fixture["num_classes"] as? Int ?? 1
    let keep = positionCount - (fixture["merge_num"] as? Int ?? 0)
    keepCounts = [keep]
    defaultKeepCount = keep
  }
}

func integer(_ key: String, _ object: [String: Any]) throws -> Int {
  guard let value = object[key] as? Int else { throw FixtureError(description: "config has no integer '\(key)'") }
  return value
}

/// Sets every parameter from the tensor `prefix + name`.
func load(_ module: some Module, from file: Safetensors, prefix: String) throws {
  for (name, parameter) in module.parameters { parameter.setPublished(try file.floats(prefix + name)) }
}

/// A published `[B, C, H, W]` tensor as `[B, H, W, C]`.
func channelsLast(_ file: Safetensors, _ name: String) throws -> Tensor {
  let shape = try file.shape(of: name)
  let (channels, area) = (shape[1], shape[2] * shape[3])
  let values = try file.floats(name)
  let result = Tensor(uninitialized: [shape[0], shape[2], shape[3], channels])
  for index in values.indices {
    let (sample, channel, position) = (index / (channels * area), index / area % channels, index % area)
    result.pointer[(sample * area + position) * channels + channel] = values[index]
  }
  return result
}

/// `[B, H, W, C]` in published order, `[B, C, H, W]`.
func published(images: Tensor) -> [Float] {
  let (channels, area) = (images.channels, images.shape[1] * images.shape[2])
  let values = images.values
  return values.indices.map { index in
    let (sample, channel, position) = (index / (channels * area), index / area % channels, index % area)
    return values[(sample * area + position) * channels + channel]
  }
}

/// `[B, K, C]` in published order, `[B, C, √K, √K]`.
func published(tokens: Tensor) -> [Float] {
  published(images: tokens.reshaped([tokens.shape[0], 1, tokens.shape[1], tokens.shape[2]]))
}

/// The dense source matrix `[B, K + 1, L + 1]` with the class token in front.
private func source(of output: TokenizerModel.Output, keep: Int) -> [Float] {
  let batch = output.latent.shape[0]
  let positions = output.groups.count / batch
  var matrix = [Float](repeating: 0, count: batch * (keep + 1) * (positions + 1))
  for sample in 0..<batch {
    let start = sample * (keep + 1) * (positions + 1)
    matrix[start] = 1
    for position in 0..<positions {
      let row = Int(output.groups[sample * positions + position]) + 1
      matrix[start + row * (positions + 1) + position + 1] = 1
    }
  }
  return matrix
}
