public import Layers
public import Tensors

/// Predicts from the K quantized tokens alone which of them every position belongs to (method 1.3).
///
/// With `usesPositions` it also knows where each token's representative lies, as a generator in random order does.
public struct SourceRecovery: Module {
  /// Whether every token carries the embedding of its representative's position.
  public let usesPositions: Bool
  private let embedding: Linear
  private let normIn: LayerNorm
  private let queries: Parameter
  private let blocks: [RecoveryBlock]
  private let head: Linear

  /// A source recovery with random weights, or nil where the configuration has none.
  public init?(_ config: TokenizerConfig, using random: inout SplitMix64) {
    guard config.recoveryWidth > 0 else { return nil }
    let width = config.recoveryWidth
    usesPositions = config.recoveryPositions
    embedding = Linear(inputSize: config.codeBits, outputSize: width, using: &random)
    normIn = LayerNorm(channels: width)
    queries = Parameter(.normal(standardDeviation: 0.02, shape: [1, config.positionCount, width], using: &random))
    blocks = (0..<config.recoveryBlocks).map { _ in
      RecoveryBlock(width: width, heads: config.recoveryHeads, layerScale: config.layerScale, using: &random)
    }
    head = Linear(inputSize: width, outputSize: width, using: &random)
  }

  /// Scores of every token for every position.
  /// - Parameters:
  ///   - codes: Quantized tokens, shape `[B, K, d]`. No gradient is sent back into them.
  ///   - representatives: With `usesPositions`, the raster position in `0..<L` of every token's representative, `B·K`
  ///     values (see `representatives(ofGroups:tokens:batch:)`). Where the generator gives none, nil.
  /// - Returns: Logits over the K tokens, shape `[B, L, K]`.
  /// - Precondition: `representatives` are given if and only if `usesPositions`.
  public func callAsFunction(_ codes: Tensor, representatives: [Int32]? = nil) -> Tensor {
    require(
      (representatives != nil) == usesPositions,
      "SourceRecovery: positions are \(usesPositions ? "needed" : "not used"), but were "
        + "\(representatives == nil ? "not " : "")given")
    var context = normIn(embedding(codes.detached))
    if let representatives {
      // The embedding that asks for a position also says that a token lies there, so like finds like from the start.
      let table = queries.value.reshaped([queries.shape[1], queries.shape[2]])
      context = context + Tensors.embedding(table, representatives, shape: [codes.shape[0], codes.shape[1]])
    }
    var x = repeated(queries.value, count: codes.shape[0])
    for block in blocks { x = block(x, context: context) }
    return batchedProduct(head(x), head(context))
  }

  /// The most probable token of every position, `B·L`.
  public static func groups(fromLogits logits: Tensor) -> [Int32] {
    let values = logits.values
    return (0..<logits.rows).map { row in
      let scores = values[row * logits.channels..<(row + 1) * logits.channels]
      var best = scores.startIndex
      for index in scores.indices where scores[index] > scores[best] { best = index }
      return Int32(best - scores.startIndex)
    }
  }

  /// The representative of every token: the first raster position of its group.
  /// - Parameters:
  ///   - groups: The token in `0..<tokens` of every position, `B·L` values; every token has at least one.
  ///   - tokens: K.
  ///   - batch: B.
  /// - Returns: `B·K` positions in `0..<L`.
  public static func representatives(ofGroups groups: [Int32], tokens: Int, batch: Int) -> [Int32] {
    let positions = groups.count / max(batch, 1)
    var first = [Int32](repeating: -1, count: batch * tokens)
    for (index, group) in groups.enumerated() {
      let token = index / positions * tokens + Int(group)
      if first[token] < 0 { first[token] = Int32(index % positions) }
    }
    require(!first.contains { $0 < 0 }, "representatives: a token without positions")
    return first
  }

  /// Visits every parameter under its published name.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    embedding.forEachParameter(under: "rec_embed", body)
    normIn.forEachParameter(under: "norm_in", body)
    body("rec_tokens", queries)
    for (index, block) in blocks.enumerated() { block.forEachParameter(under: "blocks.\(index)", body) }
    head.forEachParameter(under: "rec_head", body)
  }
}

/// Positions look at tokens: `x ← x + γ1·proj(attn(q(LN(x)), kv(context))); x ← x + γ2·MLP(LN(x))`.
private struct RecoveryBlock: Module {
  let norm1: LayerNorm
  let q: Linear
  let kv: Linear
  let proj: Linear
  let scale1: Parameter
  let norm2: LayerNorm
  let mlp: MLP
  let scale2: Parameter
  let heads: Int

  init(width: Int, heads: Int, layerScale: Float, using random: inout SplitMix64) {
    norm1 = LayerNorm(channels: width)
    q = Linear(inputSize: width, outputSize: width, using: &random)
    kv = Linear(inputSize: width, outputSize: 2 * width, inertBias: 0..<width, using: &random)
    proj = Linear(inputSize: width, outputSize: width, using: &random)
    scale1 = Parameter(Tensor(repeating: layerScale, shape: [width]))
    norm2 = LayerNorm(channels: width)
    mlp = MLP(width: width, using: &random)
    scale2 = Parameter(Tensor(repeating: layerScale, shape: [width]))
    self.heads = heads
  }

  func callAsFunction(_ input: Tensor, context: Tensor) -> Tensor {
    let keysAndValues = kv(context)
    let width = input.channels
    let attended = proj(
      attention(
        query: q(norm1(input)), key: keysAndValues.channels(0..<width),
        value: keysAndValues.channels(width..<2 * width),
        heads: heads))
    let x = scaledResidual(input, attended, gamma: scale1.value)
    return scaledResidual(x, mlp(norm2(x)), gamma: scale2.value)
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    norm1.forEachParameter(under: "norm1", body)
    q.forEachParameter(under: "q", body)
    kv.forEachParameter(under: "kv", body)
    proj.forEachParameter(under: "proj", body)
    body("gamma1", scale1)
    norm2.forEachParameter(under: "norm2", body)
    mlp.forEachParameter(under: "mlp", body)
    body("gamma2", scale2)
  }
}
