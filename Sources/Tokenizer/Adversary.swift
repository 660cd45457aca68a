import Layers
public import Tensors

/// The discriminator with its losses and what it remembers: the generator's opponent (method 1.5).
///
/// Statistics are those of all ranks: with R ranks of N images it computes what one rank of R·N does.
public final class Adversary {
  /// What an adversary is made of and how much it counts.
  public struct Settings: Sendable, Equatable {
    /// How much the generator's loss counts.
    public var weight = AdversarialWeight.fixed(0.1)
    /// What the generator minimises.
    public var generatorLoss = AdversarialLoss.OfGenerator.nonSaturating
    /// What the discriminator minimises.
    public var discriminatorLoss = AdversarialLoss.OfDiscriminator.hinge
    /// How much LeCAM regularisation counts.
    public var lecamWeight: Float = 0.01
    /// Channels of the discriminator's first layer.
    public var channels = 64
    /// Its layers that halve the resolution.
    public var layers = 3

    /// The published ones.
    public init() {}
  }

  /// What the generator is told about its images.
  public struct Opinion {
    /// The unweighted loss.
    public var loss: Float
    /// Its gradient with respect to the images, their shape.
    public var imageGradient: Tensor
  }

  /// The discriminator.
  public let discriminator: Discriminator
  /// What the adversary is made of.
  public let settings: Settings
  /// Moving averages of the logits.
  public private(set) var lecam = LeCAM()
  private let ranks: Int
  private let average: RankSumAverage?

  /// An adversary with random weights, a function of `seed`.
  /// - Parameters:
  ///   - settings: Its network and loss.
  ///   - seed: Decides the weights.
  ///   - ranks: Ranks that share a batch.
  ///   - average: Replaces sums by their mean over them; nil for one rank. Collective.
  public init(_ settings: Settings, seed: UInt64, ranks: Int = 1, average: RankSumAverage? = nil) {
    self.settings = settings
    self.ranks = ranks
    self.average = average
    var random = SplitMix64(seed: seed, 0x6164_7665)
    discriminator = Discriminator(width: settings.channels, layers: settings.layers, using: &random)
  }

  /// The generator's turn: the loss of its images and how they should change. Collective.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`.
  ///   - arena: The discriminator's parameters, which stay outside the tape.
  public func opinion(on images: Tensor, frozen arena: ParameterArena) throws -> Opinion {
    let failure = RankFailure()
    let leaf = images.detached.trackingGradient
    let loss = try arena.frozen {
      settings.generatorLoss(fake: try discriminator(leaf, synchronization: synchronization(failure)))
    }
    loss.backward()
    try failure.check()
    return Opinion(loss: loss.item, imageGradient: leaf.gradient)
  }

  /// The discriminator's turn: gathers its gradients and moves LeCAM's averages. Collective.
  /// - Parameters:
  ///   - real: Shape `[B, H, W, 3]`.
  ///   - fake: The shape of `real`.
  ///   - scale: What the gradients are multiplied by: 1/rounds.
  /// - Returns: The unweighted terms by name, in a fixed order.
  public func accumulateGradients(
    real: Tensor, fake: Tensor, scale: Float
  ) throws -> [(name: String, value: Float)] {
    let failure = RankFailure()
    let logitsReal = try discriminator(real.detached, synchronization: synchronization(failure))
    let logitsFake = try discriminator(fake.detached, synchronization: synchronization(failure))
    var means = [logitsReal, logitsFake].map { $0.values.reduce(0) { $0 + Double($1) } / Double($0.count) }
    let own = means
    if let average { try means.withUnsafeMutableBufferPointer { try average($0) } }
    lecam.update(meanReal: means[0], meanFake: means[1])
    let loss = settings.discriminatorLoss(real: logitsReal, fake: logitsFake)
    let penalty = lecam(real: logitsReal, fake: logitsFake)
    (loss + settings.lecamWeight * penalty).backward(scale: scale)
    try failure.check()
    return [
      (name: "discriminator", value: loss.item), (name: "lecam", value: penalty.item),
      (name: "logitsReal", value: Float(own[0])), (name: "logitsFake", value: Float(own[1])),
    ]
  }

  /// The discriminator's parameters under their names in published checkpoints.
  public var namedParameters: [(name: String, parameter: Parameter)] {
    var result: [(name: String, parameter: Parameter)] = []
    discriminator.forEachParameter(under: "loss.discriminator") { result.append(($0, $1)) }
    return result
  }

  private func synchronization(_ failure: RankFailure) -> BatchSynchronization {
    BatchSynchronization(ranks: ranks, average: average, failure: failure)
  }

  /// What an adversary remembers beside its parameters.
  public struct Memory: Codable, Sendable, Equatable {
    /// Moving averages of the logits.
    public var lecam: LeCAM
    /// Running mean and variance of every batch normalisation, by its published name.
    public var runningMean: [String: [Float]], runningVariance: [String: [Float]]
  }

  /// What must be saved beside the parameters.
  public var memory: Memory {
    Memory(
      lecam: lecam,
      runningMean: Dictionary(uniqueKeysWithValues: discriminator.norms.map { ($0.name, $0.norm.runningMean) }),
      runningVariance: Dictionary(uniqueKeysWithValues: discriminator.norms.map { ($0.name, $0.norm.runningVariance) }))
  }

  /// Takes back what `memory` gave.
  /// - Returns: Whether it fits this discriminator; if not, nothing changed.
  public func restore(_ memory: Memory) -> Bool {
    let norms = discriminator.norms
    let fits = norms.allSatisfy { name, norm in
      memory.runningMean[name]?.count == norm.runningMean.count
        && memory.runningVariance[name]?.count == norm.runningVariance.count
    }
    guard fits else { return false }
    lecam = memory.lecam
    for (name, norm) in norms {
      norm.setRunning(mean: memory.runningMean[name] ?? [], variance: memory.runningVariance[name] ?? [])
    }
    return true
  }
}
