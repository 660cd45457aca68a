public import Layers
public import Tensors

/// LPIPS (Zhang et al., 2018): how different two images look to VGG-16 (method 1.5).
///
/// The images are shifted and scaled, five activations of VGG-16 are normalised to unit length over their channels, and
/// their squared differences, weighted by one non-negative number per channel, are averaged over the positions:
///
///     d(a, b) = Σ_l mean_{y,x} Σ_c w_lc·(â_l − b̂_l)²
///
/// Nothing of it is trained. Names are those of torchvision's VGG-16 (`features.N`) and of the published LPIPS weights
/// (`linN.model.1.weight`).
public final class PerceptualLoss: Module {
  /// Convolutions of each stage; before every stage but the first, a 2×2 maximum halves the resolution.
  private let stages: [[(index: Int, convolution: Convolution)]]
  /// Non-negative weights of the stages' channels; published `[1, C, 1, 1]`.
  private let channelWeights: [Parameter]
  private let scale: Tensor
  private let offset: Tensor

  /// Features of a batch of images, computed once and compared with several others.
  public struct Features {
    fileprivate let stages: [Tensor]
  }

  /// The network with random weights, to be loaded.
  public init(using random: inout SplitMix64) {
    var stages: [[(index: Int, convolution: Convolution)]] = []
    // Numbers count activations and pooling, as torchvision's sequence does.
    var (channels, index) = (3, 0)
    for (width, depth) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)] {
      var stage: [(index: Int, convolution: Convolution)] = []
      for _ in 0..<depth {
        stage.append(
          (index, Convolution(inputChannels: channels, outputChannels: width, padding: 1, using: &random)))
        channels = width
        index += 2
      }
      stages.append(stage)
      index += 1
    }
    self.stages = stages
    channelWeights = [64, 128, 256, 512, 512].map { width in
      Parameter(Tensor(repeating: 1 / Float(width), shape: [width]), publishedShape: [1, width, 1, 1])
    }
    let (shift, deviation): ([Float], [Float]) = ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450])
    scale = Tensor(deviation.map { 1 / $0 }, shape: [3])
    offset = Tensor(zip(shift, deviation).map { -$0 / $1 }, shape: [3])
  }

  /// Features to compare others with; nothing is recorded.
  /// - Parameter images: Shape `[B, H, W, 3]`, values in `[-1, 1]`; H and W at least 16.
  public func features(of images: Tensor) -> Features {
    withoutGradient { Features(stages: unitFeatures(images)) }
  }

  /// The distance of every image from its target, `[B]`; the gradient flows to `images` alone.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values about `[-1, 1]`.
  ///   - target: The features of as many images of the same size.
  public func callAsFunction(_ images: Tensor, to target: Features) -> Tensor {
    let parts = zip(zip(unitFeatures(images), target.stages), channelWeights).map { pair, weights in
      weightedSquaredDistance(pair.0, pair.1, weights: weights.value.detached)
    }
    return parts.dropFirst().reduce(parts[0], +)
  }

  private func unitFeatures(_ images: Tensor) -> [Tensor] {
    require(
      images.dimensionCount == 4 && images.channels == 3 && min(images.shape[1], images.shape[2]) >= 16,
      "PerceptualLoss: images \(images.shape)")
    // Rounding decides here which activations and which pixels of a window count at all, so convolutions are exact.
    return ConvolutionPrecision.$current.withValue(.accurate) {
      var x = channelAffine(images, scale: scale, offset: offset)
      return stages.enumerated().map { number, stage in
        if number > 0 { x = pool(x, .maximum, kernelSize: 2, stride: 2) }
        for (_, convolution) in stage { x = activation(convolution(x), .leakyReLU(slope: 0)) }
        return unitNormalized(x)
      }
    }
  }

  /// Visits every weight under its published name.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    for (index, convolution) in stages.joined() { convolution.forEachParameter(under: "features.\(index)", body) }
    for (index, weights) in channelWeights.enumerated() { body("lin\(index).model.1.weight", weights) }
  }
}
