public import Layers
public import Tensors

/// Pixels → K merged tokens, which of them every position went into, and the class token (method 1.1).
public struct Encoder: Module {
  /// What the encoder knows of a batch.
  public struct Output {
    /// The latent before quantization, shape `[B, K, d]`.
    public var latent: Tensor
    /// For every position, in raster order, the index in `0..<K` of the token it was merged into; `B·L`.
    public var groups: [Int32]
    /// How many positions each token stands for, `B·K`.
    public var sizes: [Float]
    /// The class token, shape `[B, D]`.
    public var classToken: Tensor
  }

  private let stem: Stem
  private let classToken: Parameter
  private let blocks: [TokenMergingBlock]
  private let representationBlocks: [TokenMergingBlock]
  private let normOut: GroupNorm
  private let convOut: Linear
  private let head: RepresentationHead?
  private let config: TokenizerConfig

  /// An encoder with random weights.
  public init(_ config: TokenizerConfig, using random: inout SplitMix64) {
    self.config = config
    let width = config.encoderWidth
    stem =
      config.isotropicWidth > 0
      ? .patches(PatchStem(width: width, patchSize: config.downsampling, using: &random))
      : .convolutional(ConvolutionalStem(config, using: &random))
    classToken = Parameter(.normal(standardDeviation: 0.02, shape: [1, 1, width], using: &random))
    let last = Float(max(1, config.attentionBlocks - 1))
    blocks = (0..<config.attentionBlocks).map { index in
      TokenMergingBlock(
        width: width, heads: config.encoderHeads, layerScale: config.layerScale,
        dropRate: config.dropPath * (1 - Float(index) / last), using: &random)
    }
    representationBlocks = (0..<config.representationBlocks).map { _ in
      TokenMergingBlock(width: width, heads: config.encoderHeads, layerScale: config.layerScale, using: &random)
    }
    normOut = GroupNorm(channels: width, activation: .silu)
    convOut = Linear(
      inputSize: width, outputSize: config.codeBits, publishedShape: [config.codeBits, width, 1, 1], using: &random)
    head = RepresentationHead(config, using: &random)
  }

  /// Encodes images, keeping `keep` tokens of each.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values in `[-1, 1]`.
  ///   - keep: Tokens to keep of each image.
  ///   - depth: Stochastic depth, in training with `dropPath` above 0.
  public func callAsFunction(_ images: Tensor, keep: Int, depth: StochasticDepth? = nil) -> Output {
    output(merged(stem(images), keep: keep, depth: depth))
  }

  /// Encodes images at several keep counts; what comes before the merging is computed once.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values in `[-1, 1]`.
  ///   - keeps: Tokens to keep of each image, by output.
  /// - Returns: One output for each of `keeps`.
  public func callAsFunction(_ images: Tensor, keeps: [Int]) -> [Output] {
    let features = stem(images)
    return keeps.map { output(merged(features, keep: $0, depth: nil)) }
  }

  /// What stands for whole images, before any head.
  public struct Summary {
    /// The class token behind the representation blocks, shape `[B, D]`.
    public var classToken: Tensor
    /// The mean over positions of the token that each belongs to, shape `[B, D]`.
    public var tokenMean: Tensor
  }

  /// What a probe looks at.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values in `[-1, 1]`.
  ///   - keep: Tokens to keep of each image.
  public func summary(_ images: Tensor, keep: Int) -> Summary {
    let state = merged(stem(images), keep: keep, depth: nil)
    let (batch, length, width) = (state.tokens.shape[0], state.tokens.shape[1], state.tokens.shape[2])
    let mean = Tensor(repeating: 0, shape: [batch, width])
    for sample in 0..<batch {
      // Token 0 is the class token.
      let positions = state.sizes[sample * length + 1..<(sample + 1) * length].reduce(0, +)
      for token in sample * length + 1..<(sample + 1) * length {
        let weight = state.sizes[token] / positions
        for channel in 0..<width {
          mean.pointer[sample * width + channel] += weight * state.tokens.pointer[token * width + channel]
        }
      }
    }
    return Summary(classToken: representedToken(of: state), tokenMean: mean)
  }

  private func output(_ state: MergedTokens) -> Output {
    let (batch, length, width) = (state.tokens.shape[0], state.tokens.shape[1], state.tokens.shape[2])
    let tokens = state.tokens.tokens(1..<length)
    let positions = state.groups.count / batch - 1
    return Output(
      latent: convOut(normOut(tokens)),
      groups: (0..<batch).flatMap { sample in
        // The class token is token 0 of both the inputs and the outputs.
        (0..<positions).map { state.groups[sample * (positions + 1) + 1 + $0] - 1 }
      },
      sizes: (0..<batch).flatMap { sample in state.sizes[sample * length + 1..<(sample + 1) * length] },
      classToken: state.tokens.tokens(0..<1).reshaped([batch, width]))
  }

  /// The head's view of images: teacher space or class logits, shape `[B, headOutputs]`.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`; H and W any multiples of the downsampling, not only the configured resolution.
  ///   - keep: Tokens that the encoder would keep at the configured resolution: as many are merged at any other, or as
  ///     many as half of the tokens in each block allows.
  ///   - depth: Stochastic depth, in training with `dropPath` above 0.
  /// - Precondition: The configuration has a head.
  public func representation(_ images: Tensor, keep: Int, depth: StochasticDepth? = nil) -> Tensor {
    require(head != nil, "representation: this tokenizer has no head")
    let token = representedToken(of: merged(stem(images), keep: keep, depth: depth))
    return head?(token) ?? token
  }

  /// The class token behind the representation blocks, shape `[B, D]`.
  private func representedToken(of merged: MergedTokens) -> Tensor {
    var state = merged
    // These blocks are plain ones: every token weighs the same in their attention.
    state.sizes = Array(repeating: 1, count: state.sizes.count)
    for (index, block) in representationBlocks.enumerated() {
      state = block(state, merging: 0, block: blocks.count + index, depth: nil)
    }
    return state.tokens.tokens(0..<1).reshaped([state.tokens.shape[0], config.encoderWidth])
  }

  private func merged(_ features: Tensor, keep: Int, depth: StochasticDepth?) -> MergedTokens {
    let positions = features.shape[1] * features.shape[2]
    let tokens = features.reshaped([features.shape[0], positions, config.encoderWidth])
    let merged = config.positionCount - keep
    let merges = MergeSchedule.merges(keep: positions - merged, of: positions, blocks: blocks.count)
    var state = MergedTokens(tokens.prepending(classToken.value))
    for (index, block) in blocks.enumerated() {
      state = block(state, merging: merges[index], block: index, depth: depth)
    }
    return state
  }

  /// Visits every parameter under its published name.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    stem.forEachParameter(body)
    body("attn.cls_token", classToken)
    for (index, block) in blocks.enumerated() { block.forEachParameter(under: "attn.blocks.\(index)", body) }
    for (index, block) in representationBlocks.enumerated() {
      block.forEachParameter(under: "rep_attn.blocks.\(index)", body)
    }
    normOut.forEachParameter(under: "norm_out", body)
    convOut.forEachParameter(under: "conv_out", body)
    head?.forEachParameter(under: "dist_head", body)
  }
}

/// The way from pixels to the token grid.
private enum Stem: Module {
  case convolutional(ConvolutionalStem)
  case patches(PatchStem)

  func callAsFunction(_ images: Tensor) -> Tensor {
    switch self {
    case .convolutional(let stem): stem(images)
    case .patches(let stem): stem(images)
    }
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    switch self {
    case .convolutional(let stem): stem.forEachParameter(body)
    case .patches(let stem): stem.forEachParameter(body)
    }
  }
}

/// Variants G and G+R: a 3×3 convolution, then levels of residual blocks with stride-2 convolutions between them.
private struct ConvolutionalStem: Module {
  let convIn: Convolution
  let levels: [(blocks: [ResidualBlock], downsample: Convolution?)]

  init(_ config: TokenizerConfig, using random: inout SplitMix64) {
    convIn = Convolution(
      inputChannels: 3, outputChannels: config.channels, padding: 1, hasBias: false, using: &random)
    var width = config.channels
    var levels: [(blocks: [ResidualBlock], downsample: Convolution?)] = []
    for (level, multiplier) in config.channelMultipliers.enumerated() {
      var blocks: [ResidualBlock] = []
      for _ in 0..<config.residualBlocks {
        blocks.append(ResidualBlock(from: width, to: config.channels * multiplier, using: &random))
        width = config.channels * multiplier
      }
      let isLast = level == config.channelMultipliers.count - 1
      let downsample =
        isLast
        ? nil
        : Convolution(inputChannels: width, outputChannels: width, stride: 2, padding: 1, using: &random)
      levels.append((blocks, downsample))
    }
    self.levels = levels
  }

  func callAsFunction(_ images: Tensor) -> Tensor {
    var x = convIn(images)
    for level in levels {
      for block in level.blocks { x = block(x) }
      if let downsample = level.downsample { x = downsample(x) }
    }
    return x
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    convIn.forEachParameter(under: "conv_in", body)
    for (index, level) in levels.enumerated() {
      for (number, block) in level.blocks.enumerated() {
        block.forEachParameter(under: "down.\(index).block.\(number)", body)
      }
      level.downsample?.forEachParameter(under: "down.\(index).downsample", body)
    }
  }
}

/// Variant R: one convolution over disjoint patches, then a normalisation of every channel over its positions.
private struct PatchStem: Module {
  let patches: Convolution
  let norm: GroupNorm

  init(width: Int, patchSize: Int, using random: inout SplitMix64) {
    patches = Convolution(
      inputChannels: 3, outputChannels: width, kernelSize: patchSize, stride: patchSize, using: &random)
    norm = GroupNorm(channels: width, groups: width)
  }

  func callAsFunction(_ images: Tensor) -> Tensor { norm(patches(images)) }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    patches.forEachParameter(under: "conv_in.0", body)
    norm.forEachParameter(under: "conv_in.1", body)
  }
}

/// Class token → teacher space or class logits.
private struct RepresentationHead: Module {
  let first: Linear
  let second: Linear?
  let norm: LayerNorm?
  let last: Linear

  init?(_ config: TokenizerConfig, using random: inout SplitMix64) {
    let width = config.encoderWidth
    if config.head == .none { return nil }
    first = Linear(inputSize: width, outputSize: 4 * width, using: &random)
    second =
      config.head == .layer3 ? Linear(inputSize: 4 * width, outputSize: 4 * width, using: &random) : nil
    norm = config.head == .layer2 ? LayerNorm(channels: 4 * width) : nil
    last = Linear(inputSize: 4 * width, outputSize: config.headOutputs, using: &random)
  }

  func callAsFunction(_ token: Tensor) -> Tensor {
    var x = activation(first(token), .gelu)
    if let second { x = activation(second(x), .gelu) }
    if let norm { x = norm(x) }
    return last(x)
  }

  // Numbers are those of the published sequential module: activations count, too.
  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    first.forEachParameter(under: "0", body)
    second?.forEachParameter(under: "2", body)
    norm?.forEachParameter(under: "2", body)
    last.forEachParameter(under: second == nil ? "3" : "4", body)
  }
}
