import Foundation
import Generator
import TestSupport
import Testing

/// The generator against the reference implementation's numbers.
struct GeneratorParityTests {
  @Test(arguments: Fixture.all(ofKind: "ar"))
  func logitsLossesAndGradientsAgree(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .plain)
    let logits = reference.model.plain(try reference.codes(), classes: try reference.classes)
    try reference.expectLogits(logits)
    try reference.expectLossesAndGradients(logits)
  }

  @Test(arguments: Fixture.all(ofKind: "ar"))
  func theRotaryTableAgrees(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .plain)
    let config = reference.model.config
    let table = rotaryTable(gridSize: config.gridSize, headSize: config.headSize, base: config.rotaryBase)
    #expect(table.shape == (try reference.file.shape(of: "output.freqs_cis")))
    expectClose(table.values, try reference.file.floats("output.freqs_cis"), "rotary table", tolerance: 1e-6)
  }

  @Test(arguments: Fixture.all(ofKind: "ar"))
  func greedyDecodingThroughTheCacheAgrees(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .plain)
    let classes = try reference.classes
    let result = Sampler(reference.model).sample(
      classes: classes, images: Array(classes.indices), options: .greedy)
    #expect(result.codes == (try reference.codes("output.greedy_")))
  }

  @Test(arguments: Fixture.all(ofKind: "ar"))
  func filtersKeepTheSameLogits(fixture: Fixture) throws {
    let file = try fixture.open()
    let shape = try file.shape(of: "input.filter_logits")
    let logits = try file.floats("input.filter_logits")
    for (name, filter) in [("topk5", TokenFilter(topK: 5)), ("topp80", TokenFilter(topP: 0.8))] {
      let kept = logits.withUnsafeBufferPointer { logits in
        (0..<shape[0]).flatMap { row in
          logits.baseAddress.map { filter.kept($0 + row * shape[1], count: shape[1]) } ?? []
        }
      }
      #expect(kept.map { $0 ? 1 : 0 } == (try file.int32s("output.filter_\(name)")), "\(name)")
    }
  }

  @Test(arguments: Fixture.all(ofKind: "random_order"))
  func randomOrderAgrees(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .random)
    let logits = reference.model.randomOrder(
      try reference.codes(), classes: try reference.classes, cells: try reference.file.int32s("input.cells"))
    try reference.expectLogits(logits)
    try reference.expectLossesAndGradients(logits)
  }
}

extension SamplingOptions {
  /// The largest logit of each factor, without guidance.
  static var greedy: SamplingOptions {
    var options = SamplingOptions()
    options.pre.filter.temperature = 0
    options.post.filter.temperature = 0
    options.keepCount = 1
    return options
  }
}
