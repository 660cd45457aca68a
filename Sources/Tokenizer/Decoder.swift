public import Layers
public import Tensors

/// L tokens → pixels (method 1.4).
public struct Decoder: Module {
  private let convIn: Convolution
  private let positions: DepthwiseConvolution
  private let blocks: [GridBlock]
  /// By level, the full resolution first, as the published names count them; executed from the last to the first.
  private let levels: [Level]
  private let normOut: GroupNorm
  private let convOut: Convolution
  private let gridSize: Int

  /// A decoder with random weights.
  public init(_ config: TokenizerConfig, using random: inout SplitMix64) {
    var width = config.decoderWidth
    gridSize = config.gridSize
    convIn = Convolution(inputChannels: config.codeBits, outputChannels: width, padding: 1, using: &random)
    positions = DepthwiseConvolution(channels: width, using: &random)
    blocks = (0..<config.attentionBlocks).map { _ in
      GridBlock(width: width, heads: config.decoderHeads, layerScale: config.layerScale, using: &random)
    }
    var levels: [Level] = []
    for (index, multiplier) in config.channelMultipliers.enumerated().reversed() {
      let outputs = config.channels * multiplier
      levels.insert(
        Level(
          from: width, to: outputs, codeBits: config.codeBits,
          blocks: config.residualBlocks + (index == 0 ? 0 : config.extraResidualBlocks), upsamples: index > 0,
          using: &random),
        at: 0)
      width = outputs
    }
    self.levels = levels
    normOut = GroupNorm(channels: width, activation: .silu)
    convOut = Convolution(inputChannels: width, outputChannels: 3, padding: 1, using: &random)
  }

  /// - Parameter codes: One code vector per position, shape `[B, L, d]`.
  /// - Returns: Images, shape `[B, H, W, 3]`.
  public func callAsFunction(_ codes: Tensor) -> Tensor { lastLayer(features(codes)) }

  /// What the last layer makes the images of.
  /// - Parameter codes: One code vector per position, shape `[B, L, d]`.
  /// - Returns: Shape `[B, H, W, channels]`.
  public func features(_ codes: Tensor) -> Tensor {
    let (batch, length) = (codes.shape[0], codes.shape[1])
    require(length == gridSize * gridSize, "Decoder: \(length) tokens for a grid of \(gridSize)×\(gridSize)")
    var x = convIn(codes.reshaped([batch, gridSize, gridSize, codes.shape[2]]))
    let width = x.channels
    x = (x + positions(x)).reshaped([batch, length, width])
    for block in blocks { x = block(x, gridSize: gridSize) }
    x = x.reshaped([batch, gridSize, gridSize, width])
    let style = channelMoments(codes)
    for level in levels.reversed() { x = level(x, style: style) }
    return normOut(x)
  }

  /// The last layer: features to images.
  public func lastLayer(_ features: Tensor) -> Tensor { convOut(features) }

  /// The gradient with respect to the last layer's weight of something whose gradient with respect to the images is
  /// known: where the adaptive adversarial weight compares two losses.
  /// - Parameters:
  ///   - features: What the images were made of.
  ///   - imageGradient: Shape `[B, H, W, 3]`.
  /// - Returns: The shape of the weight. The parameter's own gradient stays as it is.
  public func lastLayerGradient(features: Tensor, imageGradient: Tensor) -> Tensor {
    let weight = convOut.weight.value.detached.trackingGradient
    convolution(features.detached, weight: weight, padding: convOut.padding).backward(from: imageGradient)
    return weight.gradient
  }

  /// Visits every parameter under its published name.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    convIn.forEachParameter(under: "conv_in", body)
    positions.forEachParameter(under: "attn.pos_embed", body)
    for (index, block) in blocks.enumerated() { block.forEachParameter(under: "attn.blocks.\(index)", body) }
    for (index, level) in levels.enumerated().reversed() { level.forEachParameter(level: index, body) }
    normOut.forEachParameter(under: "norm_out", body)
    convOut.forEachParameter(under: "conv_out", body)
  }
}

/// A pre-norm attention block whose MLP mixes neighbours on the grid:
/// `x ← x + γ1·Attn(LN(x)); x ← x + γ2·fc2(gelu(depthwise(fc1(LN(x)))))`.
private struct GridBlock: Module {
  let norm1: LayerNorm
  let attention: SelfAttention
  let scale1: Parameter
  let norm2: LayerNorm
  let fc1: Linear
  let depthwise: DepthwiseConvolution
  let fc2: Linear
  let scale2: Parameter

  init(width: Int, heads: Int, layerScale: Float, using random: inout SplitMix64) {
    norm1 = LayerNorm(channels: width)
    attention = SelfAttention(width: width, heads: heads, using: &random)
    scale1 = Parameter(Tensor(repeating: layerScale, shape: [width]))
    norm2 = LayerNorm(channels: width)
    fc1 = Linear(inputSize: width, outputSize: 4 * width, using: &random)
    depthwise = DepthwiseConvolution(channels: 4 * width, using: &random)
    fc2 = Linear(inputSize: 4 * width, outputSize: width, using: &random)
    scale2 = Parameter(Tensor(repeating: layerScale, shape: [width]))
  }

  func callAsFunction(_ input: Tensor, gridSize: Int) -> Tensor {
    recomputable(input) { input in
      let x = scaledResidual(input, attention(norm1(input)), gamma: scale1.value)
      let hidden = fc1(norm2(x))
      let mixed = depthwise(hidden.reshaped([x.shape[0], gridSize, gridSize, hidden.channels]))
      let branch = fc2(activation(mixed, .gelu).reshaped(hidden.shape))
      return scaledResidual(x, branch, gamma: scale2.value)
    }
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    norm1.forEachParameter(under: "norm1", body)
    attention.forEachParameter(under: "attn", body)
    body("ls1.gamma", scale1)
    norm2.forEachParameter(under: "norm2", body)
    fc1.forEachParameter(under: "mlp.fc1", body)
    depthwise.forEachParameter(under: "mlp.dwconv", body)
    fc2.forEachParameter(under: "mlp.fc2", body)
    body("ls2.gamma", scale2)
  }
}

/// One resolution of the decoder: adaptive normalisation by the codes' moments, residual blocks, upsampling.
private struct Level {
  let gamma: Linear
  let beta: Linear
  let blocks: [ResidualBlock]
  /// 3×3 to four times the width; depth-to-space doubles height and width.
  let upsample: Convolution?

  init(
    from inputs: Int, to outputs: Int, codeBits: Int, blocks count: Int, upsamples: Bool,
    using random: inout SplitMix64
  ) {
    gamma = Linear(inputSize: codeBits, outputSize: inputs, using: &random)
    beta = Linear(inputSize: codeBits, outputSize: inputs, using: &random)
    var blocks: [ResidualBlock] = []
    for index in 0..<count {
      blocks.append(ResidualBlock(from: index == 0 ? inputs : outputs, to: outputs, using: &random))
    }
    self.blocks = blocks
    upsample =
      upsamples
      ? Convolution(inputChannels: outputs, outputChannels: 4 * outputs, padding: 1, using: &random) : nil
  }

  func callAsFunction(_ input: Tensor, style: (deviation: Tensor, mean: Tensor)) -> Tensor {
    var x = adaptiveGroupNorm(input, scale: gamma(style.deviation), shift: beta(style.mean))
    for block in blocks { x = block(x) }
    return upsample.map { depthToSpace($0(x)) } ?? x
  }

  func forEachParameter(level: Int, _ body: (_ name: String, _ parameter: Parameter) -> Void) {
    gamma.forEachParameter(under: "adaptive.\(level).gamma", body)
    beta.forEachParameter(under: "adaptive.\(level).beta", body)
    for (number, block) in blocks.enumerated() {
      block.forEachParameter(under: "up.\(level).block.\(number)", body)
    }
    upsample?.forEachParameter(under: "up.\(level).upsample.conv1", body)
  }
}
