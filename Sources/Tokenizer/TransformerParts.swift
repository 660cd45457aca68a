import Layers
import Tensors

/// Multi-head self-attention with one projection for queries, keys and values.
struct SelfAttention: Module {
  let qkv: Linear
  let proj: Linear
  let heads: Int

  init(width: Int, heads: Int, using random: inout SplitMix64) {
    qkv = Linear(
      inputSize: width, outputSize: 3 * width, inertBias: width..<2 * width, using: &random)
    proj = Linear(inputSize: width, outputSize: width, using: &random)
    self.heads = heads
  }

  /// - Parameter x: Shape `[B, T, D]`.
  /// - Returns: Queries, keys and values, shape `[B, T, 3·D]`.
  func projected(_ x: Tensor) -> Tensor { qkv(x) }

  /// - Parameter logSizes: Added to every query's score of a key, shape `[B, T]`: proportional attention.
  /// - Returns: Shape `[B, T, D]`.
  func attended(_ qkv: Tensor, logSizes: Tensor? = nil) -> Tensor {
    proj(Tensors.attention(qkv: qkv, heads: heads, logSizes: logSizes))
  }

  func callAsFunction(_ x: Tensor) -> Tensor { attended(projected(x)) }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    qkv.forEachParameter(under: "qkv", body)
    proj.forEachParameter(under: "proj", body)
  }
}

/// Linear, exact GELU, Linear, four times as wide in between.
struct MLP: Module {
  let fc1: Linear
  let fc2: Linear

  init(width: Int, using random: inout SplitMix64) {
    fc1 = Linear(inputSize: width, outputSize: 4 * width, using: &random)
    fc2 = Linear(inputSize: 4 * width, outputSize: width, using: &random)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { fc2(activation(fc1(x), .gelu)) }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    fc1.forEachParameter(under: "fc1", body)
    fc2.forEachParameter(under: "fc2", body)
  }
}
