import Checkpointing
import Foundation
import Generator

/// Where samples come from: written into the comment of their `.npz` file, so that an evaluation can tell.
public struct SampleOrigin: Codable, Sendable, Equatable {
  /// The generator.
  public var generator: String
  /// Where it was read from.
  public var checkpoint: String
  /// Optimizer steps done.
  public var step: Int
  /// SHA-256 of its weights.
  public var sha256: String
  /// The tokenizer that made the images of its codes.
  public var tokenizer: TokenizerIdentity
  /// Which classes were asked for, and how many images of each.
  public var classes: String, count: Int
  /// Guidance, filters, seed.
  public var sampling: SamplingOptions

  init(_ generator: TrainedGenerator, options: GeneratorSampling.Options, sampling: SamplingOptions) {
    self.generator = generator.recipe.name
    (checkpoint, step) = (generator.path, generator.step)
    sha256 = ContentHash.ofParameters(generator.model)
    tokenizer = generator.codes.tokenizer
    // The file's comment has room for a few thousand names.
    classes = String(options.classes.prefix(20_000))
    count = options.count
    self.sampling = sampling
  }

  /// Reads a file's comment; nil where it is none of ours.
  init?(comment: String?) {
    guard let comment else { return nil }
    do {
      self = try JSONDecoder().decode(SampleOrigin.self, from: Data(comment.utf8))
    } catch {
      return nil
    }
  }

  /// The comment.
  var comment: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }
}
