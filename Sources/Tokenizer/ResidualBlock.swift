import Layers
import Tensors

/// `shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))`, 3×3 convolutions without bias, GroupNorm with 32 groups
/// (method 1.1, as in VQGAN).
struct ResidualBlock: Module {
  let norm1: GroupNorm
  let conv1: Convolution
  let norm2: GroupNorm
  let conv2: Convolution
  /// A 1×1 convolution where the width changes.
  let shortcut: Linear?

  init(from inputs: Int, to outputs: Int, using random: inout SplitMix64) {
    norm1 = GroupNorm(channels: inputs, activation: .silu)
    conv1 = Convolution(
      inputChannels: inputs, outputChannels: outputs, padding: 1, hasBias: false, using: &random)
    norm2 = GroupNorm(channels: outputs, activation: .silu)
    conv2 = Convolution(
      inputChannels: outputs, outputChannels: outputs, padding: 1, hasBias: false, using: &random)
    shortcut =
      inputs == outputs
      ? nil
      : Linear(
        inputSize: inputs, outputSize: outputs, hasBias: false, publishedShape: [outputs, inputs, 1, 1],
        using: &random)
  }

  /// - Parameter x: Shape `[B, H, W, from]`.
  /// - Returns: Shape `[B, H, W, to]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    recomputable(x) { x in
      let branch = conv2(norm2(conv1(norm1(x))))
      return (shortcut.map { $0(x) } ?? x) + branch
    }
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    norm1.forEachParameter(under: "norm1", body)
    conv1.forEachParameter(under: "conv1", body)
    norm2.forEachParameter(under: "norm2", body)
    conv2.forEachParameter(under: "conv2", body)
    shortcut?.forEachParameter(under: "nin_shortcut", body)
  }
}
