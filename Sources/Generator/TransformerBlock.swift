import Glibc
import Layers
import Tensors

/// Self-attention over positions that rotary angles tell apart; no biases.
struct RotaryAttention: Module {
  let wqkv: Linear
  let wo: Linear
  let heads: Int

  init(width: Int, heads: Int, using random: inout SplitMix64) {
    wqkv = Linear(inputSize: width, outputSize: 3 * width, standardDeviation: 0.02, using: &random)
    wo = Linear(inputSize: width, outputSize: width, standardDeviation: 0.02, using: &random)
    self.heads = heads
  }

  /// - Parameter x: Shape `[B, T, D]`.
  func callAsFunction(_ x: Tensor, positions: Positions, mask: AttentionMask) -> Tensor {
    let qkv = rotary(wqkv(x), rotatedHeads: 2 * heads, table: positions.table, rows: positions.rows)
    return wo(attention(qkv: qkv, heads: heads, mask: mask))
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    wqkv.forEachParameter(under: "wqkv", body)
    wo.forEachParameter(under: "wo", body)
  }
}

/// `w2(silu(w1·x) · w3·x)`; no biases.
struct GatedFeedForward: Module {
  let w1: Linear
  let w3: Linear
  let w2: Linear

  init(width: Int, hidden: Int, using random: inout SplitMix64) {
    w1 = Linear(inputSize: width, outputSize: hidden, standardDeviation: 0.02, using: &random)
    w3 = Linear(inputSize: width, outputSize: hidden, standardDeviation: 0.02, using: &random)
    w2 = Linear(inputSize: hidden, outputSize: width, standardDeviation: 0.02, using: &random)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { w2(swiGLU(gate: w1(x), up: w3(x))) }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    w1.forEachParameter(under: "w1", body)
    w3.forEachParameter(under: "w3", body)
    w2.forEachParameter(under: "w2", body)
  }
}

/// Pre-norm attention and gated feed-forward, as in Llama (Touvron et al., 2023).
struct TransformerBlock: Module {
  let attentionNorm: RMSNorm
  let attention: RotaryAttention
  let feedForwardNorm: RMSNorm
  let feedForward: GatedFeedForward

  init(_ config: GeneratorConfig, using random: inout SplitMix64) {
    attentionNorm = RMSNorm(channels: config.width, epsilon: config.normEpsilon)
    attention = RotaryAttention(width: config.width, heads: config.heads, using: &random)
    feedForwardNorm = RMSNorm(channels: config.width, epsilon: config.normEpsilon)
    feedForward = GatedFeedForward(width: config.width, hidden: config.hiddenWidth, using: &random)
  }

  /// - Parameters:
  ///   - x: Shape `[B, T, D]`.
  ///   - dropout: Masks of the two residual branches.
  func callAsFunction(
    _ x: Tensor, positions: Positions, mask: AttentionMask, dropout: (DropoutMask?, DropoutMask?)
  ) -> Tensor {
    recomputable(x) { x in
      let y = residual(x, attention(attentionNorm(x), positions: positions, mask: mask), dropout: dropout.0)
      return residual(y, feedForward(feedForwardNorm(y)), dropout: dropout.1)
    }
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    attentionNorm.forEachParameter(under: "attention_norm", body)
    attention.forEachParameter(under: "attention", body)
    feedForwardNorm.forEachParameter(under: "ffn_norm", body)
    feedForward.forEachParameter(under: "feed_forward", body)
  }
}

/// The angles of a sequence's positions: a row of the rotary table for each.
struct Positions {
  let table: Tensor
  /// One per position, or one per position of every sample.
  let rows: [Int32]
}

/// The rotary table of a square grid: row 0 is all zero, for tokens that have no place in the image; row 1 + n holds the
/// cosines and sines of raster cell n.
///
/// The first half of a head's pairs turns with the cell's row, the second half with its column, at frequencies
/// `base^(−j/P)` for the P pairs j of each half.
/// - Returns: Shape `[1 + gridSize², headSize/2, 2]`.
public func rotaryTable(gridSize: Int, headSize: Int, base: Double) -> Tensor {
  let pairs = headSize / 4
  let table = Tensor(repeating: 0, shape: [1 + gridSize * gridSize, 2 * pairs, 2])
  for cell in 0..<gridSize * gridSize {
    for pair in 0..<2 * pairs {
      let coordinate = Double(pair < pairs ? cell / gridSize : cell % gridSize)
      let angle = coordinate * pow(base, -Double(pair % pairs) / Double(pairs))
      let place = table.pointer + ((1 + cell) * 2 * pairs + pair) * 2
      place[0] = Float(cos(angle))
      place[1] = Float(sin(angle))
    }
  }
  return table
}
