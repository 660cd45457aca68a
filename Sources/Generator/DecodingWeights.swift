import Kernels
import Tensors

/// A transformer's weights laid out for decoding, when every product has a few rows and reading the weights is what takes
/// time. A copy: it does not follow later changes of the model.
///
/// All results of a row have the same bits whatever other rows are decoded beside it.
public final class DecodingWeights {
  /// The model's shape.
  public let config: GeneratorConfig
  let model: Transformer
  let blocks: [DecodingBlock]
  let factorizedBlocks: [DecodingBlock]
  private let heads: [PackedMatrix]

  /// Packs the weights that `model` has now.
  public init(_ model: Transformer) {
    self.model = model
    config = model.config
    blocks = model.blocks.map(DecodingBlock.init)
    factorizedBlocks = model.factorizedBlocks.map(DecodingBlock.init)
    heads = model.heads.map { PackedMatrix($0.weight.value) }
  }

  /// The blocks over the sequence, for new rows of it.
  /// - Parameters:
  ///   - x: Shape `[R, D]`.
  ///   - rows: The rotary table row of each.
  ///   - queries: The stream and slot of each, and what it sees.
  /// - Returns: Shape `[R, D]`.
  func sequence(_ x: Tensor, rows: [Int32], queries: [CacheQuery], cache: CompressedKVCache) -> Tensor {
    decoded(x, by: blocks, rows: rows, queries: queries, cache: cache)
  }

  fileprivate func decoded(
    _ x: Tensor, by blocks: [DecodingBlock], rows: [Int32], queries: [CacheQuery], cache: CompressedKVCache
  ) -> Tensor {
    withoutGradient {
      cache.reserve(for: queries)
      var y = x
      for (layer, block) in blocks.enumerated() {
        y = block(
          y, positions: Positions(table: model.table, rows: rows), layer: layer, queries: queries, cache: cache)
      }
      return y
    }
  }

  fileprivate func logits(_ x: Tensor, factor: Int) -> Tensor {
    withoutGradient { linear(model.norm(x), packed: heads[factor]) }
  }
}

/// The two steps of the factorised head for a set of rows: first factor, then second factor given the first.
final class FactorDecoder {
  private let weights: DecodingWeights
  private let cache: CompressedKVCache

  init(_ weights: DecodingWeights, rowCount: Int) {
    self.weights = weights
    cache = CompressedKVCache(
      streamCount: rowCount, layerCount: weights.factorizedBlocks.count, config: weights.config, pageLength: 2)
  }

  /// - Parameter h: The sequence's outputs, shape `[R, D]`.
  /// - Returns: Logits of the first factor, shape `[R, 2^b0]`.
  func preLogits(_ h: Tensor) -> Tensor { logits(h, factor: 0) }

  /// - Parameter pre: The first factor of every row. To be called after `preLogits`.
  /// - Returns: Logits of the second factor, shape `[R, 2^b1]`.
  func postLogits(pre: [Int32]) -> Tensor {
    logits(withoutGradient { weights.model.preEmbedding(pre) }, factor: 1)
  }

  private func logits(_ x: Tensor, factor: Int) -> Tensor {
    let queries = (0..<cache.streamCount).map { CacheQuery(stream: $0, prefix: factor + 1, own: factor) }
    let rows = [Int32](repeating: Int32(factor), count: queries.count)
    let y = weights.decoded(x, by: weights.factorizedBlocks, rows: rows, queries: queries, cache: cache)
    return weights.logits(y, factor: factor)
  }
}

/// A transformer block with packed weights.
struct DecodingBlock {
  private let block: TransformerBlock
  private let wqkv: PackedMatrix
  private let wo: PackedMatrix
  private let w1: PackedMatrix
  private let w3: PackedMatrix
  private let w2: PackedMatrix

  init(_ block: TransformerBlock) {
    self.block = block
    wqkv = PackedMatrix(block.attention.wqkv.weight.value)
    wo = PackedMatrix(block.attention.wo.weight.value)
    w1 = PackedMatrix(block.feedForward.w1.weight.value)
    w3 = PackedMatrix(block.feedForward.w3.weight.value)
    w2 = PackedMatrix(block.feedForward.w2.weight.value)
  }

  /// - Parameter x: Shape `[R, D]`.
  func callAsFunction(
    _ x: Tensor, positions: Positions, layer: Int, queries: [CacheQuery], cache: CompressedKVCache
  ) -> Tensor {
    let qkv = rotary(
      linear(block.attentionNorm(x), packed: wqkv), rotatedHeads: 2 * block.attention.heads, table: positions.table,
      rows: positions.rows)
    let y = x + linear(cache.attended(qkv, layer: layer, queries: queries), packed: wo)
    let normed = block.feedForwardNorm(y)
    let gated = swiGLU(gate: linear(normed, packed: w1), up: linear(normed, packed: w3))
    return y + linear(gated, packed: w2)
  }
}
