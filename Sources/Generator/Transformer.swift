public import Layers
public import Tensors

/// An autoregressive transformer over factorised codes, in the manner of LlamaGen (Sun et al., 2024) and Open-MAGVIT2
/// (Luo et al., 2024), trained and sampled in raster order, in raster order with merged tokens (MergeAR), or in random
/// order.
///
/// Every token is a pair of factors. The sequence's blocks give one vector per token; the factorised blocks see it and
/// the first factor's embedding as a sequence of two, and predict the first factor from the one and the second factor
/// from the other.
public final class Transformer: Module {
  /// Unnormalised log-probabilities of both factors.
  public struct Logits {
    /// Shape `[B, T, 2^b0]`.
    public var pre: Tensor
    /// Shape `[B, T, 2^b1]`.
    public var post: Tensor
  }

  /// The model's shape.
  public let config: GeneratorConfig
  /// One row per class, the last for the dropped class: shape `[N + 1, D]`.
  let classEmbedding: Embedding
  /// One row per keep count: shape `[candidates, D]`. Order `raster` alone.
  let mergeEmbedding: Embedding?
  /// The instruction that names the next token's cell: shape `[1, D]`. Order `random` alone.
  let positionInstruction: Parameter?
  let preEmbedding: Embedding
  let postEmbedding: Embedding
  let blocks: [TransformerBlock]
  let factorizedBlocks: [TransformerBlock]
  let norm: RMSNorm
  let heads: [Linear]
  /// Shape `[1 + L, dh/2, 2]`.
  let table: Tensor

  /// A model with random weights, a function of `seed`. The heads start at zero, so that the first loss is exactly
  /// ln 2^b0 + ln 2^b1.
  /// - Precondition: `config.problems` is empty.
  public init(_ config: GeneratorConfig, seed: UInt64) {
    require(config.problems.isEmpty, "Transformer: \(config.problems)")
    self.config = config
    var random = SplitMix64(seed: seed, 0x6765_6e65)
    let width = config.width
    classEmbedding = Embedding(count: config.classCount + 1, size: width, using: &random)
    mergeEmbedding =
      config.order == .raster ? Embedding(count: config.keepCounts.count, size: width, using: &random) : nil
    positionInstruction =
      config.order == .random
      ? Parameter(.normal(standardDeviation: 0.02, shape: [1, width], using: &random)) : nil
    preEmbedding = Embedding(count: config.factorSizes[0], size: width, using: &random)
    postEmbedding = Embedding(count: config.factorSizes[1], size: width, using: &random)
    blocks = (0..<config.blocks).map { _ in TransformerBlock(config, using: &random) }
    factorizedBlocks = (0..<config.factorizedBlocks).map { _ in TransformerBlock(config, using: &random) }
    norm = RMSNorm(channels: width, epsilon: config.normEpsilon)
    heads = config.factorSizes.map { size in
      Linear(inputSize: width, outputSize: size, standardDeviation: 0, using: &random)
    }
    table = rotaryTable(gridSize: config.gridSize, headSize: config.headSize, base: config.rotaryBase)
  }

  /// Logits of every position in raster order.
  /// - Parameters:
  ///   - codes: `B·L` codes in raster order.
  ///   - classes: `B` classes.
  ///   - draws: Dropout, in training.
  public func plain(_ codes: CodePairs, classes: [Int32], draws: TrainingDraws? = nil) -> Logits {
    let length = codes.count / max(1, classes.count)
    require(
      codes.count == length * classes.count && (1...config.positionCount).contains(length),
      "plain: \(codes.count) codes for \(classes.count) classes")
    let inputs = embedded(codes.positions(0..<length - 1, of: length), batch: classes.count)
    let x = joined([embedded(classes: classes)] + (length > 1 ? [inputs] : []))
    let h = sequence(x, rows: (0..<Int32(length)).map { $0 }, mask: .causal, draws: draws)
    return logits(h, pre: codes.pre, draws: draws)
  }

  /// The class tokens, shape `[B, 1, D]`.
  func embedded(classes: [Int32]) -> Tensor { classEmbedding(classes, shape: [classes.count, 1]) }

  /// The sum of both factors' embeddings, shape `[B, T, D]`.
  func embedded(_ codes: CodePairs, batch: Int) -> Tensor {
    let shape = [batch, codes.count / max(1, batch)]
    return preEmbedding(codes.pre, shape: shape) + postEmbedding(codes.post, shape: shape)
  }

  /// The blocks over the sequence.
  /// - Parameters:
  ///   - x: Shape `[B, T, D]`.
  ///   - rows: The table row of every position, `T` or `B·T`.
  /// - Returns: The shape of `x`.
  func sequence(_ x: Tensor, rows: [Int32], mask: AttentionMask, draws: TrainingDraws?) -> Tensor {
    let batch = x.shape[0]
    var y = dropout(x, draws?.mask(rate: config.dropout, place: 0, batch: batch))
    for (index, block) in blocks.enumerated() {
      y = block(
        y, positions: Positions(table: table, rows: rows), mask: mask,
        dropout: masks(ofBlock: index, batch: batch, draws))
    }
    return y
  }

  /// The factorised blocks and heads.
  /// - Parameters:
  ///   - h: The sequence's outputs at the positions that predict, shape `[B, T, D]`.
  ///   - pre: The true first factors, `B·T`.
  func logits(_ h: Tensor, pre: [Int32], draws: TrainingDraws?) -> Logits {
    let (batch, length, width) = (h.shape[0], h.shape[1], h.channels)
    let count = batch * length
    var x = joined([h.reshaped([count, 1, width]), preEmbedding(pre, shape: [count, 1])])
    for (index, block) in factorizedBlocks.enumerated() {
      x = block(
        x, positions: Positions(table: table, rows: [0, 1]), mask: .causal,
        dropout: masks(ofBlock: blocks.count + index, batch: batch, draws))
    }
    x = norm(x)
    return Logits(
      pre: heads[0](x.tokens(0..<1).reshaped([batch, length, width])),
      post: heads[1](x.tokens(1..<2).reshaped([batch, length, width])))
  }

  private func masks(ofBlock index: Int, batch: Int, _ draws: TrainingDraws?) -> (DropoutMask?, DropoutMask?) {
    func mask(_ branch: Int) -> DropoutMask? {
      draws?.mask(rate: config.dropout, place: 1 + 2 * index + branch, batch: batch)
    }
    return (mask(0), mask(1))
  }

  /// Visits every parameter under its published name, in the order of execution.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    classEmbedding.forEachParameter(under: "class_emb.embedding_table", body)
    mergeEmbedding?.forEachParameter(under: "merge_emb", body)
    if let positionInstruction { body("pos_instruct_embeddings", positionInstruction) }
    preEmbedding.forEachParameter(under: "pre_emb", body)
    postEmbedding.forEachParameter(under: "post_emb", body)
    for (index, block) in blocks.enumerated() { block.forEachParameter(under: "spatial_blocks.\(index)", body) }
    for (index, block) in factorizedBlocks.enumerated() {
      block.forEachParameter(under: "factorized_blocks.\(index)", body)
    }
    norm.forEachParameter(under: "norm", body)
    for (index, head) in heads.enumerated() { head.forEachParameter(under: "head.\(index)", body) }
  }
}

/// The cross-entropies of a generator, in nats per token.
public struct GeneratorLoss {
  /// Of the first factor, a scalar.
  public var pre: Tensor
  /// Of the second factor given the first, a scalar.
  public var post: Tensor

  /// Means over all tokens.
  public init(_ logits: Transformer.Logits, _ codes: CodePairs) {
    pre = crossEntropy(logits.pre, targets: codes.pre)
    post = crossEntropy(logits.post, targets: codes.post)
  }

  /// What is trained: the negative log-likelihood of a whole code.
  public var total: Tensor { pre + post }
}
