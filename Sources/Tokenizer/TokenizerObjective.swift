public import Tensors

/// The objective of stage 1 but for its opponent, the discriminator (method 1.5):
///
///     L = λ_1·mean|x − x̂| + λ_p·LPIPS(x, x̂) + λ_e·(sample entropy − batch entropy) + λ_c·commitment + λ_s·source
public struct TokenizerObjective: Sendable, Equatable {
  /// λ_1.
  public var l1: Float
  /// λ_p, where LPIPS is given.
  public var perceptual: Float
  /// λ_e.
  public var entropy: Float
  /// Temperature τ of the entropy term.
  public var entropyTemperature: Float
  /// λ_c.
  public var commitment: Float
  /// λ_s: cross-entropy of the learned source recovery. 0 leaves it out.
  public var source: Float

  /// The published weights.
  public init(
    l1: Float = 1, perceptual: Float = 1, entropy: Float = 0.1, entropyTemperature: Float = 0.01,
    commitment: Float = 0.25, source: Float = 1
  ) {
    self.l1 = l1
    self.perceptual = perceptual
    self.entropy = entropy
    self.entropyTemperature = entropyTemperature
    self.commitment = commitment
    self.source = source
  }

  /// The objective, or a part of it, and its terms, each a mean over this rank's batch, in the units of their definition
  /// (entropies in nats).
  public struct Terms {
    /// The weighted sum, with a tape behind it.
    public var total: Tensor
    /// The unweighted terms by name, in a fixed order.
    public var named: [(name: String, value: Float)]
    /// The share of positions whose group the learned recovery predicts, where there is one.
    public var sourceAccuracy: Float?
  }

  /// How far images are from what they should be: L1 and LPIPS.
  /// - Parameters:
  ///   - reconstruction: Shape `[B, H, W, 3]`.
  ///   - images: The shape of `reconstruction`.
  ///   - network: LPIPS; nil leaves it out.
  public func reconstruction(
    _ reconstruction: Tensor, of images: Tensor, perceptual network: PerceptualLoss?
  ) -> Terms {
    let pixels = meanAbsoluteError(reconstruction, to: images)
    var terms = Terms(total: l1 * pixels, named: [(name: "l1", value: pixels.item)])
    if let network, perceptual > 0 {
      let distance = mean(network(reconstruction, to: network.features(of: images)))
      terms.total = terms.total + perceptual * distance
      terms.named.append((name: "perceptual", value: distance.item))
    }
    return terms
  }

  /// What the codes cost: entropies, commitment and source recovery.
  /// - Parameters:
  ///   - output: What `model` made of images.
  ///   - model: Whose weights and configuration the terms depend on.
  ///   - other: A loss that these terms are added to.
  ///   - averageOverRanks: Replaces the mean code probabilities of this rank's batch by those of all ranks' batches.
  ///     Collective.
  public func codes(
    _ output: TokenizerModel.Output, model: TokenizerModel, addedTo other: Tensor? = nil,
    averageOverRanks: RankAverage? = nil
  ) throws -> Terms {
    let rows = output.latent.reshaped([output.latent.rows, output.latent.channels])
    let entropies = try lookupFreeEntropy(
      rows, temperature: entropyTemperature, averagingOverRanks: averageOverRanks)
    let commit = commitmentLoss(rows)
    let penalty = entropy * (entropies.sampleEntropy - entropies.batchEntropy)
    var terms = Terms(
      total: (other.map { $0 + penalty } ?? penalty) + commitment * commit,
      named: [
        (name: "sampleEntropy", value: entropies.sampleEntropy.item),
        (name: "batchEntropy", value: entropies.batchEntropy.item), (name: "commitment", value: commit.item),
      ])
    if source > 0, let recovery = model.recovery {
      let logits = recovery(
        output.quantized, representatives: model.representatives(ofGroups: output.groups, like: output.quantized))
      let loss = crossEntropy(logits, targets: output.groups)
      terms.total = terms.total + source * loss
      terms.named.append((name: "source", value: loss.item))
      let predicted = SourceRecovery.groups(fromLogits: logits)
      terms.sourceAccuracy = Float(zip(predicted, output.groups).count { $0 == $1 }) / Float(predicted.count)
    }
    return terms
  }

  /// Both parts together, for where nobody opposes.
  /// - Parameters:
  ///   - output: What `model` made of `images`.
  ///   - images: Shape `[B, H, W, 3]`, values in `[-1, 1]`.
  ///   - model: As for `codes`.
  ///   - perceptual: LPIPS; nil leaves it out.
  ///   - averageOverRanks: As for `codes`. Collective.
  public func callAsFunction(
    _ output: TokenizerModel.Output, images: Tensor, model: TokenizerModel, perceptual: PerceptualLoss? = nil,
    averageOverRanks: RankAverage? = nil
  ) throws -> Terms {
    let images = reconstruction(output.reconstruction, of: images, perceptual: perceptual)
    var terms = try codes(output, model: model, addedTo: images.total, averageOverRanks: averageOverRanks)
    terms.named = images.named + terms.named
    return terms
  }
}
