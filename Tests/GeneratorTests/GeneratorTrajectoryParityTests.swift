import Foundation
import Generator
import Layers
import Optimizers
import Tensors
import TestSupport
import Testing

/// Whole training runs against the reference implementation: forward, backward, clipping and AdamW together.
struct GeneratorTrajectoryParityTests {
  @Test(arguments: Fixture.all(ofKind: "trajectory_generator"))
  func everyStepFollowsTheReference(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .plain)
    let (settings, model, arena) = (reference.settings, reference.model, reference.arena)
    let initial = model.parameters.map { $0.parameter.published() }
    func number(_ key: String) throws -> Double { try #require(settings[key] as? Double, "\(key)") }
    let betas = try #require(settings["betas"] as? [Double])
    let adam = Adam(
      range: 0..<arena.count,
      settings: Adam.Settings(
        beta1: betas[0], beta2: betas[1], epsilon: try number("eps"), weightDecay: Float(try number("weight_decay")),
        weightDecayForm: .decoupled),
      groups: arena.entries.filter { $0.parameter.shape.count < 2 }.map { ParameterGroup(range: $0.range) })
    let (rate, limit) = (try number("learning_rate"), try number("clip_norm"))

    let expected = try #require(try Fixture.json("losses", of: reference.file) as? [[String: Double]])
    for (step, values) in expected.enumerated() {
      let (codes, classes) = try batch(step, settings, model.config)
      let loss = GeneratorLoss(model.plain(codes, classes: classes), codes)
      let total = loss.total
      arena.startStep()
      total.backward()
      arena.finishGradients()
      let squares = GradientClipping.sumOfSquares(UnsafeBufferPointer(arena.gradients))
      let clipping = GradientClipping.outcome(sumOfSquares: squares, limit: limit)
      for (name, found) in [
        ("loss", Double(total.item)), ("pre", Double(loss.pre.item)), ("post", Double(loss.post.item)),
        ("gradient_norm", clipping.norm),
      ] {
        expectClose(found, values[name] ?? .nan, "step \(step): \(name)", relative: 1e-4)
      }
      adam.step(
        arena.values, gradients: UnsafeBufferPointer(arena.gradients), learningRate: rate,
        gradientScale: clipping.scale)
    }

    // The change over the whole model: Adam magnifies rounding where a gradient is next to nothing.
    var (difference, change) = (0.0, 0.0)
    for (entry, before) in zip(arena.entries, initial) {
      let final = try reference.file.floats("final.\(entry.name)")
      for (found, (wanted, start)) in zip(entry.parameter.published(), zip(final, before)) {
        difference += Double(found - wanted) * Double(found - wanted)
        change += Double(wanted - start) * Double(wanted - start)
      }
    }
    #expect((difference / change).squareRoot() <= 1e-3)
  }

  /// Inputs as the fixture's rule says.
  private func batch(
    _ step: Int, _ settings: [String: Any], _ config: GeneratorConfig
  ) throws -> (CodePairs, [Int32]) {
    let rule = WeightsByRule()
    let size = try integer("batch", settings)
    let count = size * config.positionCount
    let pre = rule.units("pre-\(step)", count: count).map { Int32($0 * Double(config.factorSizes[0])) }
    let post = rule.units("post-\(step)", count: count).map { Int32($0 * $0 * Double(config.factorSizes[1])) }
    let classes = rule.units("class-\(step)", count: size).map { Int32($0 * Double(config.classCount + 1)) }
    return (CodePairs(pre: pre, post: post), classes)
  }
}
