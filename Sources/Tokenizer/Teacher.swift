public import Layers
public import Tensors

/// The frozen teacher of global alignment: a DINOv2 vision transformer (Oquab et al., 2024), as published in
/// `facebook/dinov2-base`.
public final class Teacher: Module {
  /// The shape of the network; the defaults are ViT-B/14.
  public struct Config: Codable, Sendable, Equatable {
    /// Width of the tokens.
    public var width = 768
    /// Transformer blocks.
    public var blocks = 12
    /// Attention heads.
    public var heads = 12
    /// Side of a patch in pixels.
    public var patchSize = 14
    /// Image side that the position embeddings were trained for, in pixels.
    public var imageSize = 518

    /// ViT-B/14.
    public init() {}
  }

  private let config: Config
  private let patches: Convolution
  private let classToken: Parameter
  private let maskToken: Parameter
  private let positions: Parameter
  private let blocks: [TeacherBlock]
  private let norm: LayerNorm

  /// A teacher with random weights.
  public init(_ config: Config, using random: inout SplitMix64) {
    self.config = config
    patches = Convolution(
      inputChannels: 3, outputChannels: config.width, kernelSize: config.patchSize, stride: config.patchSize,
      using: &random)
    let side = config.imageSize / config.patchSize
    classToken = Parameter(.normal(standardDeviation: 0.02, shape: [1, 1, config.width], using: &random))
    maskToken = Parameter(Tensor(repeating: 0, shape: [1, config.width]))
    positions = Parameter(.normal(standardDeviation: 0.02, shape: [1, side * side + 1, config.width], using: &random))
    blocks = (0..<config.blocks).map { _ in TeacherBlock(width: config.width, heads: config.heads, using: &random) }
    norm = LayerNorm(channels: config.width, epsilon: 1e-6)
  }

  /// All tokens after the last norm.
  /// - Parameter images: Shape `[B, H, W, 3]`, normalised as ImageNet images are; H and W multiples of the patch size.
  /// - Returns: Shape `[B, 1 + H/p·W/p, width]`, the class token first. Nothing is recorded in the tape.
  public func hiddenState(_ images: Tensor) -> Tensor {
    withoutGradient {
      let features = patches(images)
      let (rows, columns) = (features.shape[1], features.shape[2])
      let tokens = features.reshaped([images.shape[0], rows * columns, config.width]).prepending(classToken.value)
      var x = tokens + repeated(positionEmbeddings(rows: rows, columns: columns), count: images.shape[0])
      for block in blocks { x = block(x) }
      return norm(x)
    }
  }

  /// The normalised class token (`pooler_output`), shape `[B, width]`.
  public func callAsFunction(_ images: Tensor) -> Tensor {
    hiddenState(images).tokens(0..<1).reshaped([images.shape[0], config.width])
  }

  /// The embeddings for a grid: as trained, or resized bicubically (a = −0.75, corners not aligned).
  private func positionEmbeddings(rows: Int, columns: Int) -> Tensor {
    let side = config.imageSize / config.patchSize
    let table = positions.value.detached
    if rows == side && columns == side { return table }
    let result = Tensor(uninitialized: [1, rows * columns + 1, config.width])
    let width = config.width
    result.pointer.update(from: table.pointer, count: width)
    let vertical = (0..<rows).map { BicubicTaps(output: $0, of: rows, input: side) }
    let horizontal = (0..<columns).map { BicubicTaps(output: $0, of: columns, input: side) }
    for row in 0..<rows {
      for column in 0..<columns {
        let target = result.pointer + (1 + row * columns + column) * width
        target.update(repeating: 0, count: width)
        for (y, v) in zip(vertical[row].sources, vertical[row].weights) {
          for (x, h) in zip(horizontal[column].sources, horizontal[column].weights) {
            let source = table.pointer + (1 + y * side + x) * width
            for channel in 0..<width { target[channel] += v * h * source[channel] }
          }
        }
      }
    }
    return result
  }

  /// Visits every weight under its published name.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    body("embeddings.cls_token", classToken)
    body("embeddings.mask_token", maskToken)
    body("embeddings.position_embeddings", positions)
    patches.forEachParameter(under: "embeddings.patch_embeddings.projection", body)
    for (index, block) in blocks.enumerated() { block.forEachParameter(under: "encoder.layer.\(index)", body) }
    norm.forEachParameter(under: "layernorm", body)
  }
}

/// Which inputs make up one output of a bicubic resize, and with what weights.
private struct BicubicTaps {
  let sources: [Int]
  let weights: [Float]

  init(output: Int, of outputs: Int, input inputs: Int) {
    let position = (Float(output) + 0.5) * Float(inputs) / Float(outputs) - 0.5
    let base = Int(position.rounded(.down))
    let fraction = position - Float(base)
    sources = (-1...2).map { min(inputs - 1, max(0, base + $0)) }
    weights = (-1...2).map { Self.weight(abs(fraction - Float($0))) }
  }

  private static func weight(_ t: Float) -> Float {
    let a: Float = -0.75
    return t <= 1
      ? ((a + 2) * t - (a + 3)) * t * t + 1
      : ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
  }
}

/// A block of the teacher; queries, keys and values have projections of their own.
private struct TeacherBlock: Module {
  let norm1: LayerNorm
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let scale1: Parameter
  let norm2: LayerNorm
  let mlp: MLP
  let scale2: Parameter
  let heads: Int

  init(width: Int, heads: Int, using random: inout SplitMix64) {
    norm1 = LayerNorm(channels: width, epsilon: 1e-6)
    query = Linear(inputSize: width, outputSize: width, using: &random)
    key = Linear(inputSize: width, outputSize: width, using: &random)
    value = Linear(inputSize: width, outputSize: width, using: &random)
    output = Linear(inputSize: width, outputSize: width, using: &random)
    scale1 = Parameter(Tensor(repeating: 1, shape: [width]))
    norm2 = LayerNorm(channels: width, epsilon: 1e-6)
    mlp = MLP(width: width, using: &random)
    scale2 = Parameter(Tensor(repeating: 1, shape: [width]))
    self.heads = heads
  }

  func callAsFunction(_ input: Tensor) -> Tensor {
    let normalized = norm1(input)
    let attended = attention(
      query: query(normalized), key: key(normalized), value: value(normalized), heads: heads)
    let x = scaledResidual(input, output(attended), gamma: scale1.value)
    return scaledResidual(x, mlp(norm2(x)), gamma: scale2.value)
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    norm1.forEachParameter(under: "norm1", body)
    query.forEachParameter(under: "attention.q_proj", body)
    key.forEachParameter(under: "attention.k_proj", body)
    value.forEachParameter(under: "attention.v_proj", body)
    output.forEachParameter(under: "attention.o_proj", body)
    body("layer_scale1.lambda1", scale1)
    norm2.forEachParameter(under: "norm2", body)
    mlp.forEachParameter(under: "mlp", body)
    body("layer_scale2.lambda1", scale2)
  }
}
