import DataLoading
import Tokenizer

/// What the class token is trained to know: `alignment` in a recipe (method section 1.5).
public struct AlignmentConfig: ConfigSection {
  /// The kinds of alignment.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// None: the class token is not trained for itself.
    case none
    /// Divergence from the teacher's class token, both as logits at a temperature.
    case divergence
    /// The product of the teacher's and the student's normalised class tokens.
    case product
    /// The class of the image; needs no teacher.
    case labels
  }

  /// What is aligned with what.
  public var kind = Kind.none
  /// Weight of the term.
  public var weight = 1.0
  /// Temperature of `divergence`.
  public var temperature = 4.0
  /// Label smoothing of `labels`.
  public var labelSmoothing = 0.1
  /// DINOv2 as published; `divergence` and `product` are off until it is given.
  public var teacher = BroughtWeightsConfig()
  /// Attention heads of the teacher; nil for one per 64 channels, as every published DINOv2 has.
  public var teacherHeads: Int?
  /// Pixels of both views: a multiple of the tokenizer's downsampling and of the teacher's patches.
  public var resolution = 224
  /// What the teacher sees of an image.
  public var weakView = AlignmentViewConfig(crop: .random, flip: false)
  /// What the student, which is the tokenizer's encoder, sees of it.
  public var strongView = AlignmentViewConfig(crop: .randomResized, flip: true)

  /// The defaults.
  public init() {}

  /// The loss of this section; nil for none.
  var loss: GlobalAlignment? {
    switch kind {
    case .none: nil
    case .divergence: .divergence(temperature: Float(temperature))
    case .product: .product
    case .labels: .labels(smoothing: Float(labelSmoothing))
    }
  }

  /// What student and teacher see, in this order.
  func views(withTeacher: Bool) -> [ViewOptions] {
    [strongView.options(resolution: resolution, normalization: .symmetric)]
      + (withTeacher ? [weakView.options(resolution: resolution, normalization: .imageNet)] : [])
  }

  /// Checks ranges.
  public func validate() throws(ConfigError) {
    try check(weight > 0, "weight", "is \(weight); it must be positive ('alignment.kind' none leaves the term out)")
    try check(temperature > 0, "temperature", "is \(temperature); it must be positive")
    try check((0..<1).contains(labelSmoothing), "labelSmoothing", "is \(labelSmoothing); it must lie in 0..<1")
    try check(teacherHeads ?? 1 > 0, "teacherHeads", "is \(teacherHeads ?? 0); it must be at least 1, or null")
    try check(resolution > 0, "resolution", "is \(resolution); it must be at least 1 pixel")
    try Training.validate("teacher", teacher)
    try check(
      teacher.files.isEmpty || loss?.needsTeacher == true, "kind",
      "is \(kind.rawValue), which asks no teacher, but 'alignment.teacher.files' are given")
    try Training.validate("weakView", weakView)
    try Training.validate("strongView", strongView)
  }
}

/// What one side of the alignment sees of an image.
public struct AlignmentViewConfig: ConfigSection {
  /// The crop.
  public var crop = DataConfig.Crop.random
  /// Smallest and largest share of the area that a `randomResized` crop takes.
  public var cropArea = [0.08, 1.0]
  /// Whether half of the views are mirrored.
  public var flip = false
  /// Changes of colour and shape.
  public var augmentation = AugmentationConfig()

  /// The defaults.
  public init() {}

  /// A view without changes of colour.
  public init(crop: DataConfig.Crop, flip: Bool) {
    self.crop = crop
    self.flip = flip
  }

  /// Checks ranges.
  public func validate() throws(ConfigError) {
    try check(
      cropArea.count == 2 && cropArea[0] > 0 && cropArea[1] >= cropArea[0] && cropArea[1] <= 1, "cropArea",
      "is \(cropArea); it must be two shares above 0 and up to 1, the smaller first")
    try Training.validate("augmentation", augmentation)
  }

  fileprivate func options(resolution: Int, normalization: ViewOptions.Normalization) -> ViewOptions {
    var data = DataConfig()
    data.crop = crop
    data.cropArea = cropArea
    data.flip = flip
    data.augmentation = augmentation
    var view = data.view(resolution: resolution, isTraining: true)
    view.normalization = normalization
    return view
  }
}
