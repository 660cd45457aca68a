public import Layers
public import Tensors

/// A MergeVQ tokenizer: encoder, look-up-free quantizer, learned source recovery and decoder.
public final class TokenizerModel: Module {
  /// Everything that one pass from pixels to pixels computes.
  public struct Output {
    /// Images, shape `[B, H, W, 3]`; about `[-1, 1]`, not clamped.
    public var reconstruction: Tensor
    /// What the decoder's last layer made the images of, shape `[B, H, W, channels]`.
    public var features: Tensor
    /// The latent before quantization, shape `[B, K, d]`.
    public var latent: Tensor
    /// The quantized tokens, shape `[B, K, d]`, values ±1.
    public var quantized: Tensor
    /// The code of every token, `B·K` values in `0..<2^d`.
    public var indices: [Int32]
    /// The token that every position belongs to, `B·L` values in `0..<K`.
    public var groups: [Int32]
    /// The class token, shape `[B, D]`.
    public var classToken: Tensor
  }

  /// The model's shape.
  public let config: TokenizerConfig
  /// Pixels to merged tokens.
  public let encoder: Encoder
  /// One code per position to pixels.
  public let decoder: Decoder
  /// Tokens to positions; nil where the configuration has none.
  public let recovery: SourceRecovery?

  /// A model with random weights, a function of `seed`.
  /// - Precondition: `config.problems` is empty.
  public init(_ config: TokenizerConfig, seed: UInt64) {
    require(config.problems.isEmpty, "TokenizerModel: \(config.problems)")
    self.config = config
    var random = SplitMix64(seed: seed, 0x746f_6b65)
    encoder = Encoder(config, using: &random)
    decoder = Decoder(config, using: &random)
    recovery = SourceRecovery(config, using: &random)
  }

  /// Encodes, quantizes, expands by the true source matrix and decodes.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values in `[-1, 1]`.
  ///   - keep: Tokens to keep of each image.
  ///   - depth: Stochastic depth, in training.
  public func callAsFunction(_ images: Tensor, keep: Int, depth: StochasticDepth? = nil) -> Output {
    let encoded = encoder(images, keep: keep, depth: depth)
    let (quantized, indices) = lookupFreeQuantize(encoded.latent)
    let features = decoder.features(gatherTokens(quantized, encoded.groups))
    return Output(
      reconstruction: decoder.lastLayer(features), features: features, latent: encoded.latent,
      quantized: quantized, indices: indices, groups: encoded.groups, classToken: encoded.classToken)
  }

  /// What the learned source recovery wants to know beside the codes: the representatives' positions, `B·K`, or nil.
  /// - Parameters:
  ///   - groups: The token of every position, `B·L`.
  ///   - quantized: The tokens, shape `[B, K, d]`.
  public func representatives(ofGroups groups: [Int32], like quantized: Tensor) -> [Int32]? {
    guard config.recoveryPositions else { return nil }
    return SourceRecovery.representatives(ofGroups: groups, tokens: quantized.shape[1], batch: quantized.shape[0])
  }

  /// Decodes codes: token `groups[b, l]` of `indices[b, :]` at every position l.
  /// - Parameters:
  ///   - indices: `B·K` codes.
  ///   - groups: `B·L` token numbers in `0..<K`.
  ///   - batch: B.
  /// - Returns: Images, shape `[B, H, W, 3]`.
  public func decode(indices: [Int32], groups: [Int32], batch: Int) -> Tensor {
    let tokens = codeVectors(indices, bits: config.codeBits).reshaped([
      batch, indices.count / max(batch, 1), config.codeBits,
    ])
    return decoder(gatherTokens(tokens, groups))
  }

  /// Visits every parameter: `encoder.…`, `decoder.…`, `recovery.…`.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    encoder.forEachParameter(under: "encoder", body)
    recovery?.forEachParameter(under: "recovery", body)
    decoder.forEachParameter(under: "decoder", body)
  }
}

/// The code vectors of indices: channel j is +1 where bit j is set, −1 elsewhere.
/// - Returns: Shape `[indices.count, bits]`.
public func codeVectors(_ indices: [Int32], bits: Int) -> Tensor {
  let result = Tensor(uninitialized: [indices.count, bits])
  for (row, index) in indices.enumerated() {
    for bit in 0..<bits { result.pointer[row * bits + bit] = index >> Int32(bit) & 1 == 1 ? 1 : -1 }
  }
  return result
}
