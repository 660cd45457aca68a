public import DataLoading

/// Changes of colour and shape that a view of an image goes through by chance: `data.augmentation` in a recipe, and the
/// same keys wherever a recipe describes a view. The defaults change nothing.
public struct AugmentationConfig: ConfigSection {
  /// RandAugment in timm's notation, e.g. `rand-m7-mstd0.5-inc1`; nil for none.
  public var randAugment: String?
  /// Brightness is multiplied by a factor of up to this much more or less than 1 (torchvision's `ColorJitter`).
  public var brightness = 0.0
  /// As `brightness`, for contrast.
  public var contrast = 0.0
  /// As `brightness`, for saturation.
  public var saturation = 0.0
  /// The hue is turned by up to this share of a full circle, from 0 to 0.5.
  public var hue = 0.0
  /// The probability with which brightness, contrast, saturation and hue change at all.
  public var jitterProbability = 1.0
  /// The probability that a view loses its colours.
  public var greyscaleProbability = 0.0
  /// The probability that a view is blurred.
  public var blurProbability = 0.0
  /// Smallest and largest standard deviation of the blur, in pixels.
  public var blurSigma = [0.1, 2.0]
  /// Extent of the blur in pixels, odd.
  public var blurKernelSize = 23

  /// The defaults.
  public init() {}

  /// Checks ranges and RandAugment's notation.
  public func validate() throws(ConfigError) {
    try check(
      randAugment == nil || randAugmentOptions != nil, "randAugment",
      "is '\(randAugment ?? "")'; it must be like rand-m7-mstd0.5-inc1, with a magnitude of 0...10")
    for (key, value) in [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)] {
      try check(value >= 0, key, "is \(value); it must not be negative")
    }
    try check((0...0.5).contains(hue), "hue", "is \(hue); it must lie in 0...0.5")
    let probabilities = [
      ("jitterProbability", jitterProbability), ("greyscaleProbability", greyscaleProbability),
      ("blurProbability", blurProbability),
    ]
    for (key, value) in probabilities {
      try check((0...1).contains(value), key, "is \(value); it must lie in 0...1")
    }
    try check(
      blurSigma.count == 2 && blurSigma[0] > 0 && blurSigma[1] >= blurSigma[0], "blurSigma",
      "is \(blurSigma); it must be two positive numbers, the smaller first")
    try check(
      blurKernelSize > 0 && blurKernelSize % 2 == 1, "blurKernelSize", "is \(blurKernelSize); it must be odd")
  }

  /// The parsed `randAugment`.
  public var randAugmentOptions: RandAugment? { randAugment.flatMap(RandAugment.init(timmName:)) }

  /// The changes of colour, nil where there are none.
  public var colorChanges: ColorChanges? {
    let jitter = ColorChanges.Jitter(brightness: brightness, contrast: contrast, saturation: saturation, hue: hue)
    let changes = ColorChanges(
      jitter: jitter, jitterProbability: jitterProbability, greyscaleProbability: greyscaleProbability,
      blurProbability: blurProbability, blurSigma: blurSigma[0]...blurSigma[1], blurKernelSize: blurKernelSize)
    let isNothing = jitter == ColorChanges.Jitter() && greyscaleProbability == 0 && blurProbability == 0
    return isNothing ? nil : changes
  }
}
