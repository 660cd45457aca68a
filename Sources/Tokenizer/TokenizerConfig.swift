/// The shape of a MergeVQ tokenizer: everything that its parameters and its forward pass depend on.
///
/// The defaults are the published G+R-d64 at 256×256.
public struct TokenizerConfig: Codable, Sendable, Equatable {
  /// What the representation head on the class token is made of.
  public enum HeadKind: String, Codable, Sendable, CaseIterable {
    /// No head: the tokenizer is trained for reconstruction alone.
    case none
    /// Linear, GELU, Linear, GELU, Linear, four times as wide in between.
    case layer3
    /// Linear, GELU, LayerNorm, Linear, four times as wide in between.
    case layer2
  }

  /// How a training step draws its keep count from `keepCounts`.
  public enum KeepDistribution: String, Codable, Sendable, CaseIterable {
    /// exp(−(i−1)²/(2·0.5²)) + 0.05 over list index i: mostly the second of the list.
    case gaussian
    /// λ·exp(−λ·i) + 0.1 with λ = 2: mostly the first.
    case exponential
    /// All alike.
    case uniform
  }

  /// Image height and width in pixels.
  public var resolution = 256
  /// Width of the full-resolution level of the convolutional parts.
  public var channels = 64
  /// Width of each level as a multiple of `channels`; every level after the first halves the resolution.
  public var channelMultipliers = [1, 1, 2, 4, 8]
  /// Residual blocks per level.
  public var residualBlocks = 4
  /// Residual blocks that the decoder has more of, on every level but the full-resolution one.
  public var extraResidualBlocks = 1
  /// Attention blocks of the encoder, and of the decoder.
  public var attentionBlocks = 12
  /// Attention heads of the encoder.
  public var encoderHeads = 8
  /// Attention heads of the decoder.
  public var decoderHeads = 8
  /// Width of the encoder without convolutional levels (variant R): patches go straight to attention. 0: hybrid encoder.
  public var isotropicWidth = 0
  /// Code bits d: the codebook has 2^d codes.
  public var codeBits = 18
  /// Tokens that the encoder keeps in training, drawn per step. Squares, ascending, at most the number of positions.
  public var keepCounts = [121, 144, 169, 196, 225, 256]
  /// How training draws from `keepCounts`.
  public var keepDistribution = KeepDistribution.gaussian
  /// Tokens that the encoder keeps where nobody says otherwise: validation, reconstruction, encoding.
  public var defaultKeepCount = 144
  /// The representation head.
  public var head = HeadKind.layer3
  /// The head's outputs: the teacher's width, or the number of classes.
  public var headOutputs = 768
  /// Extra blocks that only the class token's way to the head passes.
  public var representationBlocks = 0
  /// Width of the learned source recovery; 0: none.
  public var recoveryWidth = 256
  /// Cross-attention blocks of the learned source recovery.
  public var recoveryBlocks = 4
  /// Attention heads of the learned source recovery.
  public var recoveryHeads = 8
  /// Whether the learned source recovery knows the position of every token's representative, as a generator in random
  /// order can tell it. Off, codes are all it sees.
  public var recoveryPositions = false
  /// Initial value of every layer scale.
  public var layerScale: Float = 1e-5
  /// Stochastic depth of the encoder's first attention block, falling linearly to 0 at the last.
  public var dropPath: Float = 0

  /// The published G+R-d64.
  public init() {}

  /// Pixels per token side: every level but the first halves the resolution.
  public var downsampling: Int { 1 << max(0, channelMultipliers.count - 1) }
  /// Tokens per side of the grid.
  public var gridSize: Int { resolution / max(1, downsampling) }
  /// Tokens before merging.
  public var positionCount: Int { gridSize * gridSize }
  /// Width of the encoder's tokens.
  public var encoderWidth: Int { isotropicWidth > 0 ? isotropicWidth : channels * (channelMultipliers.last ?? 1) }
  /// Width of the decoder's tokens.
  public var decoderWidth: Int { channels * (channelMultipliers.last ?? 1) }

  /// Everything that is wrong with this configuration, each as (key, what is wrong and what would be right).
  public var problems: [(key: String, message: String)] {
    var problems: [(String, String)] = []
    func expect(_ condition: Bool, _ key: String, _ message: @autoclosure () -> String) {
      if !condition { problems.append((key, message())) }
    }
    expect(!channelMultipliers.isEmpty && channelMultipliers.count <= 8, "channelMultipliers", "1 to 8 levels, please")
    expect(channelMultipliers.allSatisfy { $0 > 0 }, "channelMultipliers", "must be positive")
    expect(
      resolution > 0 && resolution % max(1, downsampling) == 0 && resolution <= 4096, "resolution",
      "\(resolution) must be a positive multiple of the downsampling \(downsampling), at most 4096")
    expect(
      channels > 0 && channels % 32 == 0, "channels",
      "\(channels) must be a positive multiple of 32, because group normalisation has 32 groups")
    expect((1...20).contains(codeBits), "codeBits", "\(codeBits) is outside 1...20")
    for (key, value) in [
      ("residualBlocks", residualBlocks), ("attentionBlocks", attentionBlocks),
      ("encoderHeads", encoderHeads), ("decoderHeads", decoderHeads),
    ] {
      expect(value > 0, key, "\(value) must be positive")
    }
    for (key, value) in [
      ("extraResidualBlocks", extraResidualBlocks), ("representationBlocks", representationBlocks),
      ("isotropicWidth", isotropicWidth), ("recoveryWidth", recoveryWidth),
    ] {
      expect(value >= 0, key, "\(value) must not be negative")
    }
    expect(
      encoderWidth % max(encoderHeads, 1) == 0, "encoderHeads",
      "\(encoderHeads) does not divide the encoder's width \(encoderWidth)")
    expect(
      decoderWidth % max(decoderHeads, 1) == 0, "decoderHeads",
      "\(decoderHeads) does not divide the decoder's width \(decoderWidth)")
    expect(isotropicWidth % 32 == 0, "isotropicWidth", "\(isotropicWidth) must be a multiple of 32")
    if recoveryWidth > 0 {
      expect(
        recoveryHeads > 0 && recoveryWidth % max(recoveryHeads, 1) == 0, "recoveryHeads",
        "\(recoveryHeads) does not divide recoveryWidth \(recoveryWidth)")
      expect(recoveryBlocks > 0, "recoveryBlocks", "\(recoveryBlocks) must be positive")
    }
    expect(head == .none || headOutputs > 0, "headOutputs", "\(headOutputs) must be positive")
    expect((0..<1).contains(dropPath), "dropPath", "\(dropPath) is outside 0..<1")
    expect(!keepCounts.isEmpty && keepCounts == keepCounts.sorted(), "keepCounts", "must be ascending and not empty")
    for keep in keepCounts + [defaultKeepCount] {
      let key = keepCounts.contains(keep) ? "keepCounts" : "defaultKeepCount"
      expect(
        keep > 0 && MergeSchedule.isReachable(keep: keep, of: positionCount, blocks: attentionBlocks), key,
        "\(keep) tokens cannot be reached from \(positionCount) positions in \(attentionBlocks) merging blocks")
    }
    return problems
  }
}
