import Kernels
public import Layers
public import Tensors

/// Inception-v3 as the Fréchet distance knows it: the network of `pt_inception-2015-12-05`, with its weights' names.
///
/// It differs from torchvision's in the mean pools, which do not count padding, in a maximum where the last block should
/// have a mean pool, and in its 1008 classes.
public final class InceptionNetwork: Module {
  /// Values of the features that statistics are made of.
  public static let featureCount = 2048
  /// Values of the features that keep where something is: 7 channels of 17 × 17.
  public static let spatialFeatureCount = 2023
  /// Values of the logits.
  public static let classCount = 1008
  /// Height and width that images are resized to.
  public static let resolution = 299

  /// What the network makes of images.
  public struct Output {
    /// After the second maximum pool, shape `[B, 35, 35, 192]`.
    public var secondPool: Tensor
    /// Before the last stage, shape `[B, 17, 17, 768]`.
    public var penultimateStage: Tensor
    /// The first channels of the first branch two blocks before, shape `[B, 2023]`: what sFID is made of (Nash et al.,
    /// 2021, as in the ADM suite).
    public var spatialFeatures: Tensor
    /// The mean over the pixels of the last stage, shape `[B, 2048]`.
    public var features: Tensor
    /// Scores of the classes, shape `[B, 1008]`.
    public var logits: Tensor
  }

  private let stem: [InceptionUnit]
  private let stages: [InceptionBlock]
  private let classifier: Linear

  /// A network with random weights, to be replaced before its first use.
  public init(using random: inout SplitMix64) {
    stem = [
      InceptionUnit("Conv2d_1a_3x3", 3, 32, stride: 2, using: &random),
      InceptionUnit("Conv2d_2a_3x3", 32, 32, using: &random),
      InceptionUnit("Conv2d_2b_3x3", 32, 64, padding: 1, using: &random),
      InceptionUnit("Conv2d_3b_1x1", 64, 80, 1, 1, using: &random),
      InceptionUnit("Conv2d_4a_3x3", 80, 192, using: &random),
    ]
    stages = [
      .narrow("Mixed_5b", 192, pooled: 32, using: &random), .narrow("Mixed_5c", 256, pooled: 64, using: &random),
      .narrow("Mixed_5d", 288, pooled: 64, using: &random), .firstReduction("Mixed_6a", 288, using: &random),
      .factorised("Mixed_6b", 128, using: &random), .factorised("Mixed_6c", 160, using: &random),
      .factorised("Mixed_6d", 160, using: &random), .factorised("Mixed_6e", 192, using: &random),
      .secondReduction("Mixed_7a", 768, using: &random),
      .wide("Mixed_7b", 1280, pooling: .average(countsPadding: false), using: &random),
      .wide("Mixed_7c", 2048, pooling: .maximum, using: &random),
    ]
    classifier = Linear(inputSize: Self.featureCount, outputSize: Self.classCount, using: &random)
  }

  /// Runs the network on images of any size.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values in `[0, 1]`.
  ///   - convention: How images become the network's input, and its features logits.
  /// - Returns: Nothing of it is recorded in the tape.
  public func callAsFunction(_ images: Tensor, by convention: EvaluationProtocol = .pytorchFID) -> Output {
    // Exact convolutions: what is measured here is smaller than what training tolerates.
    ConvolutionPrecision.$current.withValue(.accurate) {
      withoutGradient {
        var x = input(images, by: convention)
        for unit in stem[0..<3] { x = unit(x) }
        x = pool(x, .maximum, kernelSize: 3, stride: 2)
        for unit in stem[3...] { x = unit(x) }
        let secondPool = pool(x, .maximum, kernelSize: 3, stride: 2)
        x = secondPool
        for stage in stages[0..<7] { x = stage(x) }
        let spatialFeatures = Self.spatialFeatures(x)
        x = stages[7](x)
        let penultimateStage = x
        for stage in stages[8...] { x = stage(x) }
        let features = pixelMeans(x)
        let bias = convention == .adm ? nil : classifier.bias?.value
        return Output(
          secondPool: secondPool, penultimateStage: penultimateStage, spatialFeatures: spatialFeatures,
          features: features, logits: linear(features, weight: classifier.weight.value, bias: bias))
      }
    }
  }

  /// `[0, 1]` to about `[-1, 1]`, 299 × 299.
  private func input(_ images: Tensor, by convention: EvaluationProtocol) -> Tensor {
    func affine(_ x: Tensor, _ scale: Float, _ offset: Float) -> Tensor {
      channelAffine(x, scale: Tensor(repeating: scale, shape: [3]), offset: Tensor(repeating: offset, shape: [3]))
    }
    switch convention {
    case .pytorchFID:
      return affine(resized(images, height: Self.resolution, width: Self.resolution), 2, -1)
    case .adm:
      let bytes = Tensor(uninitialized: images.shape)
      for index in 0..<images.count { bytes.pointer[index] = (images.pointer[index] * 255).rounded() }
      return affine(
        resized(bytes, height: Self.resolution, width: Self.resolution, grid: .pixelCorners), 1 / 128, -1)
    }
  }

  /// Seven channels of every pixel.
  private static func spatialFeatures(_ x: Tensor) -> Tensor {
    let (batch, channels, kept) = (x.shape[0], x.channels, 7)
    let y = Tensor(uninitialized: [batch, x.rows / batch * kept])
    for pixel in 0..<x.rows {
      for channel in 0..<kept { y.pointer[pixel * kept + channel] = x.pointer[pixel * channels + channel] }
    }
    return y
  }

  /// Visits every weight under its published name.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    for unit in stem { unit.forEachParameter(body) }
    for stage in stages { stage.forEachParameter(body) }
    classifier.forEachParameter(under: "fc", body)
  }
}

/// The mean over the pixels of each channel, summed in double precision.
/// - Parameter x: Shape `[B, H, W, C]`.
/// - Returns: Shape `[B, C]`.
public func pixelMeans(_ x: Tensor) -> Tensor {
  let (batch, channels) = (x.shape[0], x.channels)
  let pixels = x.rows / max(batch, 1)
  let y = Tensor(uninitialized: [batch, channels])
  for sample in 0..<batch {
    var sums = [Double](repeating: 0, count: channels)
    for pixel in sample * pixels..<(sample + 1) * pixels {
      for channel in 0..<channels { sums[channel] += Double(x.pointer[pixel * channels + channel]) }
    }
    for channel in 0..<channels { y.pointer[sample * channels + channel] = Float(sums[channel] / Double(pixels)) }
  }
  return y
}
