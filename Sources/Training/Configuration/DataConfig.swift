public import DataLoading
import Kernels

/// Which images a run learns from and what happens to them first: `data` in a recipe.
public struct DataConfig: ConfigSection {
  /// Which part of a larger image is used.
  public enum Crop: String, Codable, Sendable, CaseIterable {
    /// A different square each time.
    case random
    /// The middle.
    case center
    /// A part of random area and proportions, resized to the square.
    case randomResized
  }

  /// How training images are shuffled.
  public enum Shuffle: String, Codable, Sendable, CaseIterable {
    /// `shards` where images lie in shards, `full` elsewhere.
    case automatic
    /// All images, wherever they lie.
    case full
    /// The shards, then the images of a window: each rank reads its share from front to back.
    case shards
  }

  /// Training images: a folder of class folders, a folder of class tars, one tar of class tars, or shards
  /// (`DIR/train-{000000..000127}.tar`, or their JSON index).
  public var train: String?
  /// Validation images in the same layouts; nil validates on nothing.
  public var validation: String?
  /// The classes of one flat tar of validation images: `ILSVRC2012_devkit_t12.tar.gz` (packed or not), or a text file
  /// with one class per image in the order of their names; nil looks for the development kit beside the tar.
  public var validationLabels: String?
  /// Validation stops after this many images; nil uses all.
  public var validationImages: Int?
  /// The shorter side is scaled to this many pixels before the crop; nil means to the model's resolution.
  public var resize: Int?
  /// The crop of training images; validation always takes the middle.
  public var crop = Crop.random
  /// Smallest and largest share of the area that a `randomResized` crop takes.
  public var cropArea = [0.08, 1.0]
  /// Changes of colour and shape of training images.
  public var augmentation = AugmentationConfig()
  /// Whether half of the training images are mirrored.
  public var flip = true
  /// How training images are shuffled.
  public var shuffle = Shuffle.automatic
  /// How many images in a row of a shard are shuffled among each other, where shards are shuffled.
  public var shardWindow = 256
  /// A folder on each node's own disk to which archives are copied while they are read; nil copies nothing.
  public var stageDirectory: String?
  /// How much a node's copies may take together, in gigabytes (10⁹ bytes).
  public var stageGigabytes = 50.0
  /// Whether JPEGs that are made smaller anyway may be decoded at a half, a quarter or an eighth of their size: faster,
  /// and about 6 of 255 levels off (root mean square over photographs that become 112 pixels wide).
  public var scaledDecoding = false
  /// Threads of a rank that decode images; nil chooses from the cores it may run on.
  public var loaderThreads: Int?
  /// Batches decoded ahead of the step.
  public var prefetchBatches = 2
  /// The share of images that may be unreadable before the run stops, from 0 to 1.
  public var badImageShare = 0.01

  /// The defaults.
  public init() {}

  /// Checks sizes and shares. Whether paths exist is for the loader to say.
  public func validate() throws(ConfigError) {
    try check(resize ?? 1 > 0, "resize", "is \(resize ?? 0); it must be at least 1 pixel")
    try check(validationImages ?? 1 > 0, "validationImages", "is \(validationImages ?? 0); it must be at least 1")
    try check(loaderThreads ?? 1 > 0, "loaderThreads", "is \(loaderThreads ?? 0); it must be at least 1, or null")
    try check(shardWindow > 0, "shardWindow", "is \(shardWindow); it must be at least 1 image")
    try check(
      validationLabels == nil || validation != nil, "validationLabels", "is set, but 'data.validation' is not")
    try check(
      stageGigabytes > 0 && stageGigabytes < 1e6, "stageGigabytes", "is \(stageGigabytes); it must be positive")
    try check(prefetchBatches > 0, "prefetchBatches", "is \(prefetchBatches); it must be at least 1")
    try check(
      cropArea.count == 2 && cropArea[0] > 0 && cropArea[1] >= cropArea[0] && cropArea[1] <= 1, "cropArea",
      "is \(cropArea); it must be two shares above 0 and up to 1, the smaller first")
    try Training.validate("augmentation", augmentation)
    try check((0...1).contains(badImageShare), "badImageShare", "is \(badImageShare); it must lie in 0...1")
  }

  /// How a rank loads batches of such images.
  /// - Parameter globalBatch: Images of all ranks' batches; with shuffled shards each comes from a place of its own.
  func loaderOptions(batchSize: Int, globalBatch: Int, views: [ViewOptions], seed: UInt64) -> LoaderOptions {
    LoaderOptions(
      batchSize: batchSize, views: views, seed: seed, threadCount: loaderThreads ?? max(1, Threads.count / 4),
      prefetchCount: prefetchBatches, allowsScaledDecoding: scaledDecoding,
      shardShuffle: shuffle == .full ? nil : ShardShuffle(lanes: globalBatch, window: shardWindow),
      allowedBadShare: badImageShare)
  }

  /// What a model of that resolution sees of an image: in training, or the middle of it in validation.
  public func view(resolution: Int, isTraining: Bool) -> ViewOptions {
    let crop: ViewOptions.Crop =
      switch crop {
      case .random: .random
      case .center: .center
      case .randomResized: .randomResized
      }
    let training = ViewOptions(
      resolution: resolution, shorterSide: resize, crop: crop, cropArea: cropArea[0]...cropArea[1],
      horizontalFlip: flip, randAugment: augmentation.randAugmentOptions, colors: augmentation.colorChanges)
    return isTraining ? training : training.deterministic
  }

  /// The training path, for commands that train.
  public func requiredTrainingPath() throws(ConfigError) -> String {
    guard let train else {
      throw ConfigError(key: "data.train", problem: "is not set; add --set data.train=DIRECTORY")
    }
    return train
  }
}
