import Glibc
import Layers
import Tensors

/// Tokens on their way through the encoder: their values, and which input tokens each of them stands for.
struct MergedTokens {
  /// Shape `[B, T, D]`; token 0 is the class token.
  var tokens: Tensor
  /// How many input tokens each token stands for, `B·T`.
  var sizes: [Float]
  /// For every input token (class token first) the token that it went into, `B·(L + 1)`: the source matrix S, one row
  /// index per column.
  var groups: [Int32]

  /// Every token stands for itself.
  init(_ tokens: Tensor) {
    self.tokens = tokens
    let (batch, length) = (tokens.shape[0], tokens.shape[1])
    sizes = Array(repeating: 1, count: batch * length)
    groups = (0..<batch).flatMap { _ in (0..<length).map(Int32.init) }
  }

  /// Follows the groups through a merge.
  mutating func merge(by plan: MergePlan) {
    groups = plan.following(groups)
    (tokens, sizes) = mergeTokens(tokens, sizes: sizes, plan: plan)
  }
}

/// A transformer block that merges tokens between attention and MLP (Bolya et al., 2023; MergeVQ section 3.2):
///
///     x ← x + γ1·Attn(LN(x), size);  merge r tokens by the similarity of their keys;  x ← x + γ2·MLP(LN(x))
struct TokenMergingBlock: Module {
  let norm1: LayerNorm
  let attention: SelfAttention
  let scale1: Parameter
  let norm2: LayerNorm
  let mlp: MLP
  let scale2: Parameter
  let dropRate: Float

  init(width: Int, heads: Int, layerScale: Float, dropRate: Float = 0, using random: inout SplitMix64) {
    norm1 = LayerNorm(channels: width)
    attention = SelfAttention(width: width, heads: heads, using: &random)
    scale1 = Parameter(Tensor(repeating: layerScale, shape: [width]))
    norm2 = LayerNorm(channels: width)
    mlp = MLP(width: width, using: &random)
    scale2 = Parameter(Tensor(repeating: layerScale, shape: [width]))
    self.dropRate = dropRate
  }

  func callAsFunction(_ input: MergedTokens, merging count: Int, block: Int, depth: StochasticDepth?) -> MergedTokens {
    var state = input
    let qkv = attention.projected(norm1(state.tokens))
    let attended = attention.attended(qkv, logSizes: logarithms(of: state.sizes, like: state.tokens))
    state.tokens = residual(state.tokens, attended, scale1, block: block, branch: 0, depth)
    if count > 0 {
      let metric = withoutGradient { meanKeys(qkv: qkv.detached, heads: attention.heads) }
      state.merge(by: mergePlan(metric: metric, count: count))
    }
    // The half before may merge tokens, which is no function of one tensor.
    state.tokens = recomputable(state.tokens) { tokens in
      residual(tokens, mlp(norm2(tokens)), scale2, block: block, branch: 1, depth)
    }
    return state
  }

  private func residual(
    _ x: Tensor, _ branch: Tensor, _ gamma: Parameter, block: Int, branch index: Int, _ depth: StochasticDepth?
  ) -> Tensor {
    guard let depth, dropRate > 0 else { return scaledResidual(x, branch, gamma: gamma.value) }
    let factors = depth.factors(rate: dropRate, block: block, branch: index, batch: x.shape[0])
    return scaledResidual(x, scaledBySample(branch, factors), gamma: gamma.value)
  }

  /// Sizes of one leave attention as it is, so the first block needs no bias.
  private func logarithms(of sizes: [Float], like tokens: Tensor) -> Tensor? {
    guard sizes.contains(where: { $0 != 1 }) else { return nil }
    return Tensor(sizes.map { log($0) }, shape: [tokens.shape[0], tokens.shape[1]])
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    norm1.forEachParameter(under: "norm1", body)
    attention.forEachParameter(under: "attn", body)
    body("ls1.gamma", scale1)
    norm2.forEachParameter(under: "norm2", body)
    mlp.forEachParameter(under: "mlp", body)
    body("ls2.gamma", scale2)
  }
}
