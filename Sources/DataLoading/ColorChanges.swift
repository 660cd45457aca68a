/// What may happen to the colours and the sharpness of a view, in this order: jitter, greyscale, blur, as in the usual
/// recipes of self-supervised learning.
public struct ColorChanges: Codable, Sendable, Equatable {
  /// Random changes of brightness, contrast, saturation and hue, in random order: torchvision's `ColorJitter`.
  public struct Jitter: Codable, Sendable, Equatable {
    /// Brightness is multiplied by a factor from `max(0, 1 − brightness)` to `1 + brightness`.
    public var brightness: Double
    /// As `brightness`, for contrast.
    public var contrast: Double
    /// As `brightness`, for saturation.
    public var saturation: Double
    /// The hue is turned by up to this share of a full circle either way, at most 0.5.
    public var hue: Double

    /// Nothing changes unless told otherwise.
    public init(brightness: Double = 0, contrast: Double = 0, saturation: Double = 0, hue: Double = 0) {
      self.brightness = brightness
      self.contrast = contrast
      self.saturation = saturation
      self.hue = hue
    }

    /// Why these options make no sense, or `nil`.
    var problem: String? {
      for (name, value) in [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)]
      where !(value >= 0 && value.isFinite) {
        return "the jitter's \(name) is \(value); it must not be negative"
      }
      return (0...0.5).contains(hue) ? nil : "the jitter's hue is \(hue); it must be in 0...0.5"
    }

    /// What was drawn for one picture.
    struct Draws: Equatable {
      var order = [Change.brightness, .contrast, .saturation, .hue]
      /// Of brightness, contrast and saturation.
      var factors = [1.0, 1, 1]
      /// In turns.
      var hueTurn = 0.0
    }

    enum Change {
      case brightness, contrast, saturation, hue
    }

    func draws(using random: inout KeyedRandom) -> Draws {
      var draws = Draws()
      for last in stride(from: 3, to: 0, by: -1) { draws.order.swapAt(last, random.integer(below: last + 1)) }
      draws.factors = [brightness, contrast, saturation].map { random.uniform(max(0, 1 - $0)...(1 + $0)) }
      draws.hueTurn = random.uniform(-hue...hue)
      return draws
    }

    /// Makes the changes whose range is more than a point.
    func apply(_ draws: Draws, to image: PixelImage) -> PixelImage {
      draws.order.reduce(image) { image, change in
        switch change {
        case .brightness: brightness > 0 ? image.withBrightness(draws.factors[0]) : image
        case .contrast: contrast > 0 ? image.withContrast(draws.factors[1]) : image
        case .saturation: saturation > 0 ? image.withSaturation(draws.factors[2]) : image
        case .hue: hue > 0 ? image.withHueTurned(by: draws.hueTurn) : image
        }
      }
    }
  }

  /// How colours are jittered.
  public var jitter: Jitter
  /// The probability of the jitter.
  public var jitterProbability: Double
  /// The probability that the view loses its colours.
  public var greyscaleProbability: Double
  /// The probability that the view is blurred.
  public var blurProbability: Double
  /// Standard deviation of the blur in pixels: smallest and largest.
  public var blurSigma: ClosedRange<Double>
  /// The blur's extent in pixels; odd.
  public var blurKernelSize: Int

  /// Nothing changes unless told otherwise.
  public init(
    jitter: Jitter = Jitter(), jitterProbability: Double = 1, greyscaleProbability: Double = 0,
    blurProbability: Double = 0, blurSigma: ClosedRange<Double> = 0.1...2, blurKernelSize: Int = 23
  ) {
    self.jitter = jitter
    self.jitterProbability = jitterProbability
    self.greyscaleProbability = greyscaleProbability
    self.blurProbability = blurProbability
    self.blurSigma = blurSigma
    self.blurKernelSize = blurKernelSize
  }

  /// Why these options make no sense, or `nil`.
  var problem: String? {
    let probabilities = [
      ("jitterProbability", jitterProbability), ("greyscaleProbability", greyscaleProbability),
      ("blurProbability", blurProbability),
    ]
    for (name, value) in probabilities where !(0...1).contains(value) {
      return "\(name) is \(value); it must be in 0...1"
    }
    if blurSigma.lowerBound <= 0 { return "blurSigma starts at \(blurSigma.lowerBound); it must be positive" }
    if blurKernelSize < 1 || blurKernelSize % 2 == 0 { return "blurKernelSize is \(blurKernelSize); it must be odd" }
    return jitter.problem
  }

  /// Draws what happens, and does it.
  func callAsFunction(_ image: PixelImage, using random: inout KeyedRandom) -> PixelImage {
    // Everything is drawn whether or not it happens, so that no choice moves the next.
    let isJittered = random.unitInterval() < jitterProbability
    let draws = jitter.draws(using: &random)
    let isGrey = random.unitInterval() < greyscaleProbability
    let isBlurred = random.unitInterval() < blurProbability
    let sigma = random.uniform(blurSigma)
    var image = isJittered ? jitter.apply(draws, to: image) : image
    if isGrey { image = image.desaturated() }
    return isBlurred ? image.blurred(sigma: sigma, kernelSize: blurKernelSize) : image
  }
}
