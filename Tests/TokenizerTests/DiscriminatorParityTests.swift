import Checkpointing
import Layers
import Tensors
import TestSupport
import Testing
import Tokenizer

/// PatchGAN and its losses against the reference implementation's numbers.
struct DiscriminatorParityTests {
  private struct Subject {
    let file: Safetensors
    let discriminator: Discriminator
    let arena: ParameterArena
    let real: Tensor
    let fake: Tensor

    init(_ fixture: Fixture) throws {
      file = try fixture.open()
      let config = try Fixture.object("config", of: file)
      var random = SplitMix64(seed: 1)
      discriminator = try Discriminator(
        width: integer("ndf", config), layers: integer("n_layers", config), using: &random)
      arena = ParameterArena(discriminator.parameters)
      try load(discriminator, from: file, prefix: "weights.")
      for (name, norm) in discriminator.norms {
        norm.setRunning(
          mean: try file.floats("weights.\(name).running_mean"),
          variance: try file.floats("weights.\(name).running_var"))
      }
      real = try channelsLast(file, "input.real")
      fake = try channelsLast(file, "input.fake")
    }

    func logits(_ images: Tensor) throws -> Tensor {
      try discriminator(images, synchronization: BatchSynchronization())
    }
  }

  @Test(arguments: Fixture.all(ofKind: "discriminator"))
  func logitsLossesAndRunningStatisticsAgree(fixture: Fixture) throws {
    let subject = try Subject(fixture)
    let file = subject.file
    let (real, fake) = try withoutGradient { (try subject.logits(subject.real), try subject.logits(subject.fake)) }
    expectClose(published(images: real), try file.floats("output.logits_real"), "real")
    expectClose(published(images: fake), try file.floats("output.logits_fake"), "fake")
    for (name, norm) in subject.discriminator.norms {
      expectClose(norm.runningMean, try file.floats("after.\(name).running_mean"), "\(name).running_mean")
      expectClose(norm.runningVariance, try file.floats("after.\(name).running_var"), "\(name).running_var")
    }

    let losses = try Fixture.object("losses", of: file).compactMapValues { $0 as? Double }
    func expect(_ loss: Tensor, _ key: String) { expectClose(Double(loss.item), losses[key] ?? .nan, key) }
    expect(AdversarialLoss.OfDiscriminator.hinge(real: real, fake: fake), "hinge")
    expect(AdversarialLoss.OfDiscriminator.vanilla(real: real, fake: fake), "disc_vanilla")
    expect(AdversarialLoss.OfDiscriminator.nonSaturating(real: real, fake: fake), "disc_non_saturating")
    expect(AdversarialLoss.OfGenerator.nonSaturating(fake: fake), "gen_non_saturating")
    expect(AdversarialLoss.OfGenerator.hinge(fake: fake), "gen_hinge")
    expect(try lecam(losses)(real: real, fake: fake), "lecam")
  }

  @Test(arguments: Fixture.all(ofKind: "discriminator"))
  func gradientsOfBothSidesAgree(fixture: Fixture) throws {
    let subject = try Subject(fixture)
    let file = subject.file
    let losses = try Fixture.object("losses", of: file).compactMapValues { $0 as? Double }

    subject.arena.startStep()
    let (real, fake) = (try subject.logits(subject.real), try subject.logits(subject.fake))
    let total =
      AdversarialLoss.OfDiscriminator.hinge(real: real, fake: fake)
      + 0.01 * (try lecam(losses)(real: real, fake: fake))
    expectClose(Double(total.item), losses["disc"] ?? .nan, "disc")
    total.backward()
    subject.arena.finishGradients()
    for entry in subject.arena.entries {
      expectCloseGradient(
        entry.parameter.published(from: entry.parameter.gradient.pointer), try file.floats("grads.\(entry.name)"),
        entry.name)
    }

    // The generator's turn: the gradient reaches the image, and nothing of it the discriminator.
    let before = subject.arena.entries.map { entry in Array(subject.arena.gradients[entry.range]) }
    let image = subject.fake.trackingGradient
    try subject.arena.frozen {
      AdversarialLoss.OfGenerator.nonSaturating(fake: try subject.logits(image)).backward()
    }
    expectCloseGradient(published(images: image.gradient), try file.floats("grads.generator.input"), "image")
    #expect(before == subject.arena.entries.map { entry in Array(subject.arena.gradients[entry.range]) })
  }

  /// The fixture's averages are those after the update, and so are the ones the penalty uses.
  private func lecam(_ losses: [String: Double]) throws -> LeCAM {
    LeCAM(
      real: try #require(losses["lecam_real_ema"]), fake: try #require(losses["lecam_fake_ema"]))
  }

  @Test func theAveragesOfLeCAMFollowTheLogitsSlowly() {
    var lecam = LeCAM(real: 0.2, fake: -0.3)
    lecam.update(meanReal: 1.2, meanFake: -1.3)
    #expect(abs(lecam.real - 0.201) < 1e-12 && abs(lecam.fake + 0.301) < 1e-12)
  }

  @Test func theAdaptiveWeightIsAQuotientOfNorms() {
    #expect(AdversarialWeight.fixed(0.1).value(reconstruction: 3, adversarial: 5) == 0.1)
    #expect(AdversarialWeight.adaptive(factor: 0.8).value(reconstruction: 3, adversarial: 1.4999) == 1.6)
    #expect(AdversarialWeight.adaptive(factor: 0.8).value(reconstruction: 9, adversarial: 0) == 8000)
  }
}
