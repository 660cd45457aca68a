import Checkpointing
import Foundation
import Generator
import Layers
import Tensors
import TestSupport
import Testing

extension GeneratorConfig {
  /// A configuration in the reference implementation's names.
  init(fixture: [String: Any], order: Order) throws {
    self.init()
    self.order = order
    width = try integer("dim", fixture)
    blocks = try integer("spatial_n_layer", fixture)
    factorizedBlocks = try integer("factorized_n_layer", fixture)
    heads = try integer("n_head", fixture)
    hiddenMultiple = try integer("multiple_of", fixture)
    factorBits = fixture["factorized_bits"] as? [Int] ?? []
    classCount = try integer("class_num", fixture)
    gridSize = try integer("grid", fixture)
    rotaryBase = fixture["rope_base"] as? Double ?? 10000
    normEpsilon = Float(fixture["norm_eps"] as? Double ?? 1e-5)
    window = fixture["window"] as? Int ?? 0
    // Only the number of candidates is known, not what they stand for.
    keepCounts = Array(1...(fixture["candidates"] as? Int ?? 1))
  }
}

func integer(_ key: String, _ object: [String: Any]) throws -> Int {
  try #require(object[key] as? Int, "the config has no integer '\(key)'")
}

/// A fixture's model in an arena, its weights, inputs and expected losses.
struct FixtureModel {
  let file: Safetensors
  let settings: [String: Any]
  let model: Transformer
  let arena: ParameterArena

  init(_ fixture: Fixture, order: GeneratorConfig.Order) throws {
    file = try fixture.open()
    settings = try Fixture.object("config", of: file)
    model = Transformer(try GeneratorConfig(fixture: settings, order: order), seed: 1)
    arena = ParameterArena(model.parameters)
    #expect(
      Set(model.parameters.map { "weights.\($0.name)" }) == Set(file.names.filter { $0.hasPrefix("weights.") }))
    for (name, parameter) in model.parameters {
      #expect(parameter.publishedShape == (try file.shape(of: "weights.\(name)")), "\(name)")
      parameter.setPublished(try file.floats("weights.\(name)"))
    }
  }

  func codes(_ prefix: String = "input.") throws -> CodePairs {
    CodePairs(pre: try file.int32s(prefix + "pre"), post: try file.int32s(prefix + "post"))
  }

  var classes: [Int32] { get throws { try file.int32s("input.class") } }

  func expectLogits(_ logits: Transformer.Logits, _ prefix: String = "output.") throws {
    expectClose(logits.pre.values, try file.floats(prefix + "logits_pre"), prefix + "logits_pre")
    expectClose(logits.post.values, try file.floats(prefix + "logits_post"), prefix + "logits_post")
  }

  /// Both losses, and every gradient of their sum.
  func expectLossesAndGradients(_ logits: Transformer.Logits) throws {
    let loss = GeneratorLoss(logits, try codes())
    let losses = try Fixture.object("losses", of: file)
    expectClose(Double(loss.pre.item), losses["pre"] as? Double ?? .nan, "pre")
    expectClose(Double(loss.post.item), losses["post"] as? Double ?? .nan, "post")
    arena.startStep()
    loss.total.backward()
    arena.finishGradients()
    for entry in arena.entries {
      expectCloseGradient(
        entry.parameter.published(from: entry.parameter.gradient.pointer), try file.floats("grads.\(entry.name)"),
        entry.name)
    }
  }
}

/// A small model with weights of a size at which attention and heads matter.
func smallModel(_ order: GeneratorConfig.Order, change: (inout GeneratorConfig) -> Void = { _ in }) -> Transformer {
  var config = GeneratorConfig()
  config.order = order
  (config.width, config.blocks, config.factorizedBlocks, config.heads) = (32, 2, 1, 4)
  (config.hiddenMultiple, config.factorBits, config.classCount, config.gridSize) = (16, [2, 3], 5, 4)
  config.keepCounts = [4, 9, 16]
  config.dropout = 0
  change(&config)
  let model = Transformer(config, seed: 3)
  var random = SplitMix64(seed: 11)
  for (_, parameter) in model.parameters {
    let values = parameter.value
    for index in 0..<values.count where values.shape.count > 1 {
      values.pointer[index] = 0.5 * (2 * random.nextUnit() - 1)
    }
  }
  return model
}

/// Random codes of a configuration.
func randomCodes(_ config: GeneratorConfig, count: Int, seed: UInt64) -> CodePairs {
  var random = SplitMix64(seed: seed)
  func draw(_ size: Int) -> [Int32] { (0..<count).map { _ in Int32.random(in: 0..<Int32(size), using: &random) } }
  let pre = draw(config.factorSizes[0])
  return CodePairs(pre: pre, post: draw(config.factorSizes[1]))
}
