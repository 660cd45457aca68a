import CImageCodecs

/// How an image becomes what a model sees: resized, cropped, perhaps mirrored, and scaled to floats.
public struct ViewOptions: Codable, Sendable, Equatable {
  /// Where the crop lies in the resized image.
  public enum Crop: String, Codable, Sendable {
    /// Anywhere, with equal probability.
    case random
    /// In the middle.
    case center
  }

  /// What bytes become.
  public enum Normalization: String, Codable, Sendable {
    /// 0…255 to [-1, 1]: the tokenizer's input.
    case symmetric
    /// 0…255 to [0, 1], less ImageNet's mean colour, divided by its standard deviation: the input of vision teachers.
    case imageNet
  }

  /// Height and width of the view in pixels.
  public var resolution: Int
  /// To what the shorter side is resized before cropping; `nil` means `resolution`.
  public var shorterSide: Int?
  /// Where the crop lies.
  public var crop: Crop
  /// Whether every second view, by chance, is mirrored left to right.
  public var horizontalFlip: Bool
  /// What bytes become.
  public var normalization: Normalization

  /// A training view unless told otherwise: random crop, random mirroring, values in [-1, 1].
  public init(
    resolution: Int = 256, shorterSide: Int? = nil, crop: Crop = .random, horizontalFlip: Bool = true,
    normalization: Normalization = .symmetric
  ) {
    self.resolution = resolution
    self.shorterSide = shorterSide
    self.crop = crop
    self.horizontalFlip = horizontalFlip
    self.normalization = normalization
  }

  /// The same view without chance, as validation uses it.
  public var deterministic: ViewOptions {
    var view = self
    view.crop = .center
    view.horizontalFlip = false
    return view
  }

  /// Why these options make no sense, or `nil`.
  public var problem: String? {
    if resolution < 1 { return "resolution is \(resolution); it must be at least 1" }
    if let shorterSide, shorterSide < resolution {
      return "shorterSide is \(shorterSide), less than the resolution \(resolution) that is cropped from it"
    }
    return nil
  }

  /// The view of a picture as bytes, `[resolution, resolution, 3]`.
  ///
  /// Chance is consumed in a fixed order (column, row, mirroring) whether or not the options use it.
  func pixels(of image: PixelImage, using random: inout KeyedRandom) -> [UInt8] {
    let size = image.size(withShorterSide: shorterSide ?? resolution)
    let randomColumn = random.integer(below: size.width - resolution + 1)
    let randomRow = random.integer(below: size.height - resolution + 1)
    let isMirrored = random.integer(below: 2) == 1
    let window =
      switch crop {
      case .center: PixelWindow(centeredIn: size, width: resolution, height: resolution)
      case .random:
        PixelWindow(
          columns: randomColumn..<(randomColumn + resolution), rows: randomRow..<(randomRow + resolution))
      }
    return image.resized(
      width: size.width, height: size.height, window: window, isFlipped: horizontalFlip && isMirrored
    ).pixels
  }

  /// The view of a picture without chance: resized, cropped in the middle and normalized.
  /// - Returns: `[resolution, resolution, 3]`.
  public func values(of image: PixelImage) -> [Float] {
    // `deterministic` uses none of the numbers drawn.
    var random = KeyedRandom(seed: 0, purpose: .view, epoch: 0)
    let pixels = deterministic.pixels(of: image, using: &random)
    return [Float](unsafeUninitializedCapacity: pixels.count) { values, count in
      normalization.normalize(pixels, into: values)
      count = pixels.count
    }
  }
}

extension ViewOptions.Normalization {
  /// Mean and standard deviation of the colours of ImageNet, for values in [0, 1].
  private static let imageNetMean: [Float] = [0.485, 0.456, 0.406]
  private static let imageNetDeviation: [Float] = [0.229, 0.224, 0.225]

  /// `value = byte · scale + offset` per channel.
  private var scaleAndOffset: (scale: [Float], offset: [Float]) {
    switch self {
    case .symmetric: ([Float](repeating: 1 / 127.5, count: 3), [-1, -1, -1])
    case .imageNet:
      (
        Self.imageNetDeviation.map { 1 / (255 * $0) },
        zip(Self.imageNetMean, Self.imageNetDeviation).map { -$0 / $1 }
      )
    }
  }

  /// Writes the values of interleaved RGB bytes.
  func normalize(_ bytes: [UInt8], into values: UnsafeMutableBufferPointer<Float>) {
    require(values.count >= bytes.count, "normalize: \(bytes.count) bytes into \(values.count) values")
    let (scale, offset) = scaleAndOffset
    codec_normalize(bytes, bytes.count / 3, scale, offset, values.baseAddress)
  }
}
