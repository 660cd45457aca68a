import CImageCodecs
import Foundation

/// How an image becomes what a model sees: resized, cropped, perhaps mirrored and augmented, and scaled to floats.
///
/// What a view shows is a pure function of these options and of (seed, sample, epoch, number of the view): see
/// `KeyedRandom`.
public struct ViewOptions: Codable, Sendable, Equatable {
  /// Which part of the image is shown.
  public enum Crop: String, Codable, Sendable, CaseIterable {
    /// A square anywhere in the resized image, with equal probability.
    case random
    /// The square in the middle of the resized image.
    case center
    /// A part of random area and proportions, resized to the square: torchvision's `RandomResizedCrop`.
    case randomResized
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
  /// Which part of the image is shown.
  public var crop: Crop
  /// Of a `randomResized` crop: smallest and largest share of the image's area.
  public var cropArea: ClosedRange<Double>
  /// Of a `randomResized` crop: smallest and largest width divided by height.
  public var cropAspect: ClosedRange<Double>
  /// Whether every second view, by chance, is mirrored left to right.
  public var horizontalFlip: Bool
  /// Operations drawn from RandAugment's list; `nil` for none.
  public var randAugment: RandAugment?
  /// Changes of colour, after RandAugment's; `nil` for none.
  public var colors: ColorChanges?
  /// What bytes become.
  public var normalization: Normalization

  /// A training view unless told otherwise: random crop, random mirroring, values in [-1, 1].
  public init(
    resolution: Int = 256, shorterSide: Int? = nil, crop: Crop = .random, cropArea: ClosedRange<Double> = 0.08...1,
    cropAspect: ClosedRange<Double> = (3.0 / 4)...(4.0 / 3), horizontalFlip: Bool = true,
    randAugment: RandAugment? = nil, colors: ColorChanges? = nil, normalization: Normalization = .symmetric
  ) {
    self.resolution = resolution
    self.shorterSide = shorterSide
    self.crop = crop
    self.cropArea = cropArea
    self.cropAspect = cropAspect
    self.horizontalFlip = horizontalFlip
    self.randAugment = randAugment
    self.colors = colors
    self.normalization = normalization
  }

  /// The same view without chance, as validation uses it: the middle, its colours as they are.
  public var deterministic: ViewOptions {
    var view = self
    view.crop = .center
    view.horizontalFlip = false
    view.randAugment = nil
    view.colors = nil
    return view
  }

  /// The shorter side below which an image would have to be enlarged for this view.
  var neededShorterSide: Int {
    guard crop == .randomResized else { return shorterSide ?? resolution }
    return Int((Double(resolution) / cropArea.lowerBound.squareRoot()).rounded(.up))
  }

  /// Why these options make no sense, or `nil`.
  public var problem: String? {
    if resolution < 1 { return "resolution is \(resolution); it must be at least 1" }
    if !(cropArea.lowerBound > 0 && cropArea.upperBound <= 1) {
      return "cropArea is \(cropArea); its bounds must be above 0 and at most 1"
    }
    if !(cropAspect.lowerBound > 0 && cropAspect.upperBound.isFinite) {
      return "cropAspect is \(cropAspect); its bounds must be positive"
    }
    if let problem = randAugment?.problem ?? colors?.problem { return problem }
    if let shorterSide, shorterSide < resolution {
      return "shorterSide is \(shorterSide), less than the resolution \(resolution) that is cropped from it"
    }
    return nil
  }

  /// The view of a picture as bytes, `[resolution, resolution, 3]`.
  ///
  /// Chance is consumed in a fixed order (crop, mirroring, RandAugment, colours) whether or not the options use it.
  func pixels(of image: PixelImage, using random: inout KeyedRandom) -> [UInt8] {
    let resampling = resampling(ofWidth: image.width, height: image.height, using: &random)
    return augmented(resampling(image), using: &random)
  }

  /// Which part of a picture of that size is shown, and how it is resized.
  func resampling(ofWidth width: Int, height: Int, using random: inout KeyedRandom) -> Resampling {
    crop == .randomResized
      ? randomResizedCrop(ofWidth: width, height: height, using: &random)
      : cropOfResized(width: width, height: height, using: &random)
  }

  /// The changes that follow cropping and resizing.
  func augmented(_ view: PixelImage, using random: inout KeyedRandom) -> [UInt8] {
    var view = view
    if let randAugment { view = randAugment(view, using: &random) }
    if let colors { view = colors(view, using: &random) }
    return view.pixels
  }

  private func cropOfResized(width: Int, height: Int, using random: inout KeyedRandom) -> Resampling {
    let size = size(ofWidth: width, height: height, withShorterSide: shorterSide ?? resolution)
    let (right, bottom) = (size.width - resolution, size.height - resolution)
    let randomPlace = (random.integer(below: right + 1), random.integer(below: bottom + 1))
    let (column, row) =
      switch crop {
      case .random, .randomResized: randomPlace
      case .center: (right / 2, bottom / 2)
      }
    return Resampling(
      of: PixelWindow(width: width, height: height), width: size.width, height: size.height,
      window: PixelWindow(columns: column..<(column + resolution), rows: row..<(row + resolution)),
      isFlipped: drawMirroring(using: &random))
  }

  private func randomResizedCrop(ofWidth width: Int, height: Int, using random: inout KeyedRandom) -> Resampling {
    let window = randomWindow(ofWidth: width, height: height, using: &random)
    return Resampling(
      of: window, width: resolution, height: resolution, window: PixelWindow(width: resolution, height: resolution),
      isFlipped: drawMirroring(using: &random))
  }

  /// A part of a picture of that size; its area is uniform and its proportions are log-uniform. Where ten draws do not
  /// fit, the largest part in the middle whose proportions are allowed.
  func randomWindow(ofWidth width: Int, height: Int, using random: inout KeyedRandom) -> PixelWindow {
    for _ in 0..<10 {
      let area = Double(width * height) * random.uniform(cropArea)
      let aspect = exp(random.uniform(log(cropAspect.lowerBound)...log(cropAspect.upperBound)))
      let columns = Int((area * aspect).squareRoot().rounded(.toNearestOrEven))
      let rows = Int((area / aspect).squareRoot().rounded(.toNearestOrEven))
      guard (1...width).contains(columns) && (1...height).contains(rows) else { continue }
      let top = random.integer(below: height - rows + 1)
      let left = random.integer(below: width - columns + 1)
      return PixelWindow(columns: left..<(left + columns), rows: top..<(top + rows))
    }
    let aspect = Double(width) / Double(height)
    let columns =
      aspect > cropAspect.upperBound ? Int((Double(height) * cropAspect.upperBound).rounded(.toNearestOrEven)) : width
    let rows =
      aspect < cropAspect.lowerBound ? Int((Double(width) / cropAspect.lowerBound).rounded(.toNearestOrEven)) : height
    return PixelWindow(centeredIn: (width, height), width: max(columns, 1), height: max(rows, 1))
  }

  private func drawMirroring(using random: inout KeyedRandom) -> Bool {
    let isFlipped = random.integer(below: 2) == 1
    return horizontalFlip && isFlipped
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
