public import Tensors

/// The part of the stage-1 objective that needs nothing but the tokenizer itself (method 1.5):
///
///     L = λ_1·mean|x − x̂| + λ_e·(sample entropy − batch entropy) + λ_c·commitment + λ_s·source
public struct TokenizerObjective: Sendable, Equatable {
  /// λ_1.
  public var l1: Float
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
    l1: Float = 1, entropy: Float = 0.1, entropyTemperature: Float = 0.01, commitment: Float = 0.25, source: Float = 1
  ) {
    self.l1 = l1
    self.entropy = entropy
    self.entropyTemperature = entropyTemperature
    self.commitment = commitment
    self.source = source
  }

  /// The objective and its terms, each a mean over this rank's batch, in the units of their definition (entropies in
  /// nats).
  public struct Terms {
    /// The weighted sum, with a tape behind it.
    public var total: Tensor
    /// The unweighted terms by name, in a fixed order.
    public var named: [(name: String, value: Float)]
    /// The share of positions whose group the learned recovery predicts, where there is one.
    public var sourceAccuracy: Float?
  }

  /// Evaluates the objective.
  /// - Parameters:
  ///   - output: What `model` made of `images`.
  ///   - averageOverRanks: Replaces the mean code probabilities of this rank's batch by those of all ranks' batches.
  ///     Collective.
  public func callAsFunction(
    _ output: TokenizerModel.Output, images: Tensor, model: TokenizerModel,
    averageOverRanks: RankAverage? = nil
  ) throws -> Terms {
    let rows = output.latent.reshaped([output.latent.rows, output.latent.channels])
    let pixels = meanAbsoluteError(output.reconstruction, to: images)
    let entropies = try lookupFreeEntropy(
      rows, temperature: entropyTemperature, averagingOverRanks: averageOverRanks)
    let commit = commitmentLoss(rows)
    var total = l1 * pixels + entropy * (entropies.sampleEntropy - entropies.batchEntropy) + commitment * commit
    var named = [
      (name: "l1", value: pixels.item), (name: "sampleEntropy", value: entropies.sampleEntropy.item),
      (name: "batchEntropy", value: entropies.batchEntropy.item), (name: "commitment", value: commit.item),
    ]
    var accuracy: Float?
    if source > 0, let recovery = model.recovery {
      let logits = recovery(output.quantized, representatives: model.representatives(of: output))
      let loss = crossEntropy(logits, targets: output.groups)
      total = total + source * loss
      named.append((name: "source", value: loss.item))
      let predicted = SourceRecovery.groups(fromLogits: logits)
      accuracy = Float(zip(predicted, output.groups).count { $0 == $1 }) / Float(predicted.count)
    }
    return Terms(total: total, named: named, sourceAccuracy: accuracy)
  }
}
