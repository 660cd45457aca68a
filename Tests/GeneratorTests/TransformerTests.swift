import Foundation
import Layers
import Tensors
import TestSupport
import Testing

@testable import Generator

struct TransformerTests {
  @Test func theFirstLossIsThatOfUniformGuessing() {
    var config = GeneratorConfig(.tiny, order: .plain)
    (config.gridSize, config.keepCounts, config.classCount) = (4, [16], 10)
    let model = Transformer(config, seed: 1)
    let codes = randomCodes(config, count: 2 * 16, seed: 1)
    let loss = GeneratorLoss(withoutGradient { model.plain(codes, classes: [1, 10]) }, codes)
    #expect(abs(loss.pre.item - Float(log(64.0))) < 1e-6)
    #expect(abs(loss.post.item - Float(log(4096.0))) < 1e-6)
    #expect(abs(loss.total.item - 12.476649) < 1e-5)
  }

  @Test func sizesHaveTheirParameterCounts() {
    for order in GeneratorConfig.Order.allCases {
      let model = smallModel(order)
      #expect(model.parameterCount == model.config.parameterCount)
    }
    // 14 blocks of 4·768² + 3·768·2048 + 2·768, embeddings and heads of (1001 + 2·(64 + 4096))·768, the last norm.
    #expect(GeneratorConfig(.base, order: .plain).parameterCount == 106_271_232)
  }

  @Test func forEachParameterVisitsEveryParameterOnce() {
    let names = smallModel(.raster).parameters.map(\.name)
    #expect(Set(names).count == names.count)
    func parameterCount(in value: Any) -> Int {
      if value is Parameter { return 1 }
      return Mirror(reflecting: value).children.reduce(0) { $0 + parameterCount(in: $1.value) }
    }
    for order in GeneratorConfig.Order.allCases {
      let model = smallModel(order)
      #expect(parameterCount(in: model) == model.parameters.count)
    }
  }

  @Test func dropoutDoesNotDependOnTheBatch() {
    let model = smallModel(.raster) { $0.dropout = 0.3 }
    let length = model.config.positionCount
    let codes = randomCodes(model.config, count: 3 * length, seed: 8)
    let representatives = MergeMask.representatives(groups: codes.post, length: length)
    func logits(_ samples: Range<Int>, first: Int) -> [Float] {
      let range = samples.lowerBound * length..<samples.upperBound * length
      return withoutGradient {
        model.merged(
          CodePairs(pre: Array(codes.pre[range]), post: Array(codes.post[range])),
          classes: samples.map { Int32($0) }, keepCounts: [9], representatives: Array(representatives[range]),
          draws: TrainingDraws(seed: 5, firstSample: first)
        ).pre.values
      }
    }
    let whole = logits(0..<3, first: 100)
    let parts = logits(0..<1, first: 100) + logits(1..<3, first: 101)
    expectClose(parts, whole, "logits", tolerance: 1e-5)
    #expect(zip(whole, logits(0..<3, first: 200)).contains { abs($0 - $1) > 0.01 })
  }

  @Test func classesAreDroppedAtTheirRate() {
    let config = smallModel(.plain).config
    let classes = [Int32](repeating: 2, count: 10_000)
    let dropped = TrainingDraws(seed: 1, firstSample: 0).dropping(classes, config: config)
    let count = dropped.count { $0 == Int32(config.droppedClass) }
    #expect(abs(count - 1000) < 120)
    #expect(TrainingDraws(seed: 1, firstSample: 50).dropping([2, 2], config: config) == Array(dropped[50..<52]))
  }

  @Test func codesSplitIntoFactorsAndBack() {
    let codes: [Int32] = [0, 1, 63, 64, 0x3ffff, 0x12345]
    let pairs = CodePairs(codes: codes, preBits: 6)
    #expect(pairs.pre == [0, 1, 63, 0, 63, 5] && pairs.post == [0, 0, 0, 1, 4095, 0x48d])
    #expect(pairs.codes(preBits: 6) == codes)
  }

  @Test func wrongConfigurationsAreNamed() {
    #expect(GeneratorConfig().problems.isEmpty)
    for size in GeneratorConfig.Size.allCases { #expect(GeneratorConfig(size).problems.isEmpty) }
    func keys(_ change: (inout GeneratorConfig) -> Void) -> [String] {
      var config = GeneratorConfig()
      change(&config)
      return config.problems.map(\.key)
    }
    #expect(keys { $0.heads = 7 } == ["heads"])
    #expect(keys { $0.factorBits = [6] } == ["factorBits"])
    #expect(keys { $0.keepCounts = [144, 121] } == ["keepCounts"])
    #expect(keys { $0.keepCounts = [400] } == ["keepCounts"])
    #expect(keys { $0.dropout = 1 } == ["dropout"])
    #expect(keys { $0.window = -1 } == ["window"])
    #expect(keys { $0.width = 0 }.contains("width"))
  }
}
