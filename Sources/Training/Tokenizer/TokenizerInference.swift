import DataLoading
import Tensors
import Tokenizer

/// Which source matrix expands merged tokens to positions.
public enum SourceChoice: String, Sendable, CaseIterable {
  /// The encoder's own: which positions were merged.
  case actual = "true"
  /// What the learned source recovery predicts from the codes alone.
  case learned
}

/// Images on their way through a trained tokenizer, a fixed number at a time.
///
/// How images are grouped depends on nothing but their number and size, so that any number of ranks computes the same
/// bits: see `share(of:rank:worldSize:)`.
struct TokenizerInference {
  let model: TokenizerModel
  let view: ViewOptions

  /// A tokenizer's inference with its recipe's deterministic view.
  init(_ tokenizer: TrainedTokenizer) {
    model = tokenizer.model
    view = Training.view(tokenizer.recipe, isTraining: false)
  }

  /// Images computed together: as many as have the pixels of eight of 64×64, at most eight, at least one.
  var batchSize: Int { max(1, min(8, 32_768 / (model.config.resolution * model.config.resolution))) }

  /// The images of one rank: whole batches, of neighbouring images.
  func share(of count: Int, rank: Int, worldSize: Int) -> Range<Int> {
    let batches = (count + batchSize - 1) / batchSize
    let first = batches * rank / worldSize
    let end = batches * (rank + 1) / worldSize
    return min(count, first * batchSize)..<min(count, end * batchSize)
  }

  /// Calls `body` with the images `range` of a data set, batch by batch, each of shape `[B, H, W, 3]`.
  /// - Throws: `DataError` for an image that cannot be read.
  func forEachBatch(
    of dataset: any ImageDataset, in range: Range<Int>, _ body: (_ indices: Range<Int>, _ images: Tensor) throws -> Void
  ) throws {
    let size = model.config.resolution
    for start in stride(from: range.lowerBound, to: range.upperBound, by: batchSize) {
      let indices = start..<min(start + batchSize, range.upperBound)
      var values: [Float] = []
      values.reserveCapacity(indices.count * size * size * 3)
      for index in indices { values += view.values(of: try dataset.image(at: index)) }
      try withoutGradient { try body(indices, Tensor(values, shape: [indices.count, size, size, 3])) }
    }
  }
}

extension TokenizerModel {
  /// What inference knows of some images.
  struct Encoded {
    /// Shape `[B, K, d]`, values ±1.
    var quantized: Tensor
    /// `B·K` codes.
    var indices: [Int32]
    /// The token of every position, `B·L` values in `0..<K`.
    var groups: [Int32]
  }

  /// Encodes and quantizes.
  func encode(_ images: Tensor, keep: Int) -> Encoded {
    let encoded = encoder(images, keep: keep)
    let (quantized, indices) = lookupFreeQuantize(encoded.latent)
    return Encoded(quantized: quantized, indices: indices, groups: encoded.groups)
  }

  /// The token of every position as the learned recovery predicts it, from the codes and, where the recovery knows
  /// positions, from where each token's representative lies; nil where the model has none.
  func predictedGroups(_ encoded: Encoded) -> [Int32]? {
    recovery.map { recovery in
      // Where it knows positions, those of the true representatives stand for what a generator supplies.
      let representatives = representatives(ofGroups: encoded.groups, like: encoded.quantized)
      return SourceRecovery.groups(fromLogits: recovery(encoded.quantized, representatives: representatives))
    }
  }

  /// Decodes with a choice of sources.
  /// - Returns: Images, shape `[B, H, W, 3]`, not clamped.
  func decode(_ encoded: Encoded, source: SourceChoice) -> Tensor {
    let groups = source == .learned ? predictedGroups(encoded) : nil
    return decoder(gatherTokens(encoded.quantized, groups ?? encoded.groups))
  }
}

extension TrainedTokenizer {
  /// Checks what a command asks of this tokenizer.
  /// - Throws: `ConfigError` naming the option.
  func check(keepCounts: [Int], source: SourceChoice) throws(ConfigError) {
    let config = recipe.model
    for keep in keepCounts {
      guard MergeSchedule.isReachable(keep: keep, of: config.positionCount, blocks: config.attentionBlocks) else {
        throw ConfigError(
          origin: "--keep \(keep)",
          problem: "this tokenizer has \(config.positionCount) positions and cannot merge them into \(keep) "
            + "tokens in \(config.attentionBlocks) blocks; it trained with \(config.keepCounts)")
      }
    }
    guard source == .actual || model.recovery != nil else {
      throw ConfigError(
        origin: "--source learned",
        problem: "this tokenizer has no learned source recovery ('model.recoveryWidth' is 0); use --source true")
    }
  }
}
