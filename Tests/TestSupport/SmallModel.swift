/// Model sections of tokenizer recipes that tests train in seconds: images of 16×16 pixels, two merging blocks.
///
/// A recipe may go on with further keys of the section, indented by two.
public enum SmallModel {
  /// A grid of 8×8 positions, of which 36, 49 or all 64 are kept.
  public static let ofGrid8 = section(channelMultipliers: [1, 1], codeBits: 6, keepCounts: [36, 49, 64], standard: 49)

  /// A grid of 4×4 positions, of which 9 or all 16 are kept.
  public static func ofGrid4(codeBits: Int) -> String {
    section(channelMultipliers: [1, 1, 1], codeBits: codeBits, keepCounts: [9, 16], standard: 9)
      + "\n  recoveryPositions: true"
  }

  private static func section(
    channelMultipliers: [Int], codeBits: Int, keepCounts: [Int], standard: Int
  ) -> String {
    """
    model:
      resolution: 16
      channels: 32
      channelMultipliers: \(channelMultipliers)
      residualBlocks: 1
      extraResidualBlocks: 0
      attentionBlocks: 2
      encoderHeads: 2
      decoderHeads: 2
      codeBits: \(codeBits)
      keepCounts: \(keepCounts)
      defaultKeepCount: \(standard)
      recoveryWidth: 32
      recoveryBlocks: 1
      recoveryHeads: 2
      layerScale: 0.1
    """
  }
}
