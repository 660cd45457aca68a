/// The shape of a generator: everything that its parameters and its forward pass depend on.
///
/// The defaults are size B on the codes of the G+R tokenizers at 256×256.
public struct GeneratorConfig: Codable, Sendable, Equatable {
  /// The order in which a generator emits tokens.
  public enum Order: String, Codable, Sendable, CaseIterable {
    /// All positions in raster order, nothing merged.
    case plain
    /// All positions in raster order with a merge instruction; duplicates leave the context (MergeAR).
    case raster
    /// The merged tokens alone, in random order, each after an instruction that names its position.
    case random
  }

  /// The published sizes, and small ones for a few cores.
  public enum Size: String, Codable, Sendable, CaseIterable {
    /// 4 blocks, 128 wide.
    case tiny
    /// 8 blocks, 384 wide.
    case small
    /// 12 blocks, 768 wide: B.
    case base
    /// 24 blocks, 1024 wide: L.
    case large
    /// 36 blocks, 1280 wide: XL.
    case extraLarge
  }

  /// The order of generation.
  public var order = Order.raster
  /// Width of the token vectors.
  public var width = 768
  /// Blocks over the sequence of positions.
  public var blocks = 12
  /// Blocks over the two factors of one token.
  public var factorizedBlocks = 2
  /// Attention heads of every block.
  public var heads = 12
  /// The feed-forward width is 8/3 of the width, rounded up to a multiple of this.
  public var hiddenMultiple = 256
  /// Code bits of the first and of the second factor.
  public var factorBits = [6, 12]
  /// Number of classes; the class embedding has one more row for the dropped class.
  public var classCount = 1000
  /// Tokens per side of the grid.
  public var gridSize = 16
  /// Keep counts that the generator learns, ascending: one row of the merge instruction each.
  public var keepCounts = [121, 144, 169, 196, 225, 256]
  /// Duplicates that remain visible behind every token, in tokens, before they are evicted (order `raster`).
  public var window = 2
  /// Base of the rotary frequencies.
  public var rotaryBase = 10000.0
  /// Added to the mean square in every normalisation.
  public var normEpsilon: Float = 1e-5
  /// Dropout of the embedded sequence and of every residual branch.
  public var dropout: Float = 0.1
  /// Share of training samples whose class is replaced by the dropped class, for guidance.
  public var classDropout: Float = 0.1

  /// Size B in raster order.
  public init() {}

  /// A published or small size, with the other fields at their defaults.
  public init(_ size: Size, order: Order = .raster) {
    self.order = order
    switch size {
    case .tiny: (blocks, width, heads, factorizedBlocks, hiddenMultiple) = (4, 128, 4, 1, 32)
    case .small: (blocks, width, heads, factorizedBlocks, hiddenMultiple) = (8, 384, 6, 1, 64)
    case .base: (blocks, width, heads, factorizedBlocks) = (12, 768, 12, 2)
    case .large: (blocks, width, heads, factorizedBlocks) = (24, 1024, 16, 2)
    case .extraLarge: (blocks, width, heads, factorizedBlocks) = (36, 1280, 20, 3)
    }
  }

  /// Positions of an image.
  public var positionCount: Int { gridSize * gridSize }
  /// Floats per head.
  public var headSize: Int { width / max(1, heads) }
  /// Width of the feed-forward part.
  public var hiddenWidth: Int { (8 * width / 3 + hiddenMultiple - 1) / max(1, hiddenMultiple) * hiddenMultiple }
  /// Values of each factor.
  public var factorSizes: [Int] { factorBits.map { 1 << $0 } }
  /// The class index that stands for no class.
  public var droppedClass: Int { classCount }

  /// Trainable values of a model of this shape.
  public var parameterCount: Int {
    let block = 4 * width * width + 3 * width * hiddenWidth + 2 * width
    let instructions = order == .raster ? keepCounts.count : order == .random ? 1 : 0
    let rows = classCount + 1 + instructions + 2 * factorSizes.reduce(0, +)
    return (blocks + factorizedBlocks) * block + rows * width + width
  }

  /// Everything that is wrong with this configuration, each as (key, what is wrong and what would be right).
  public var problems: [(key: String, message: String)] {
    var problems: [(String, String)] = []
    func expect(_ condition: Bool, _ key: String, _ message: @autoclosure () -> String) {
      if !condition { problems.append((key, message())) }
    }
    for (key, value) in [
      ("width", width), ("blocks", blocks), ("factorizedBlocks", factorizedBlocks), ("heads", heads),
      ("hiddenMultiple", hiddenMultiple), ("classCount", classCount),
    ] {
      expect(value > 0, key, "\(value) must be positive")
    }
    expect((2...128).contains(gridSize), "gridSize", "\(gridSize) is outside 2...128")
    expect(
      width % max(1, heads) == 0 && headSize % 4 == 0, "heads",
      "\(heads) must divide the width \(width) into heads of a multiple of 4: half of their pairs turn with the row and "
        + "half with the column")
    expect(
      factorBits.count == 2 && factorBits.allSatisfy { (1...16).contains($0) } && factorBits.reduce(0, +) <= 20,
      "factorBits", "\(factorBits) must be two numbers of bits, 1 to 16 each, 20 at most together")
    expect(
      !keepCounts.isEmpty && keepCounts == Array(Set(keepCounts)).sorted()
        && keepCounts.allSatisfy { $0 > 0 && $0 <= positionCount },
      "keepCounts", "\(keepCounts) must be ascending numbers of tokens, 1 to \(positionCount)")
    expect(window >= 0, "window", "\(window) must not be negative")
    expect(rotaryBase > 1, "rotaryBase", "\(rotaryBase) must be above 1")
    expect(normEpsilon > 0, "normEpsilon", "\(normEpsilon) must be positive")
    expect((0..<1).contains(dropout), "dropout", "\(dropout) is outside 0..<1")
    expect((0..<1).contains(classDropout), "classDropout", "\(classDropout) is outside 0..<1")
    return problems
  }
}
