/// One of the views that ten-crop evaluation takes of an image: a corner or the middle, mirrored or not.
public struct FixedView: Codable, Sendable, Equatable {
  /// Where the view lies in the resized image.
  public enum Place: String, Codable, Sendable, CaseIterable {
    /// In the middle.
    case center
    /// At the upper left.
    case topLeft
    /// At the upper right.
    case topRight
    /// At the lower left.
    case bottomLeft
    /// At the lower right.
    case bottomRight
  }

  /// Where it lies.
  public var place: Place
  /// Whether it is mirrored left to right.
  public var isMirrored: Bool

  /// The middle as it is, unless told otherwise.
  public init(_ place: Place = .center, isMirrored: Bool = false) {
    self.place = place
    self.isMirrored = isMirrored
  }

  /// The middle and the four corners, each as it is and mirrored.
  public static var tenCrops: [FixedView] {
    [false, true].flatMap { isMirrored in Place.allCases.map { FixedView($0, isMirrored: isMirrored) } }
  }

  /// The view of a picture.
  /// - Parameters:
  ///   - image: A picture of any size.
  ///   - shorterSide: What the picture's shorter side is scaled to first, at least `resolution`.
  ///   - resolution: Height and width of the view in pixels.
  /// - Returns: `[resolution, resolution, 3]`, values in `[-1, 1]`.
  public func values(of image: PixelImage, shorterSide: Int, resolution: Int) -> [Float] {
    require(shorterSide >= resolution, "FixedView: \(resolution) pixels of a shorter side of \(shorterSide)")
    let size = image.size(withShorterSide: shorterSide)
    let (right, bottom) = (size.width - resolution, size.height - resolution)
    let (left, top) =
      switch place {
      case .center: (right / 2, bottom / 2)
      case .topLeft: (0, 0)
      case .topRight: (right, 0)
      case .bottomLeft: (0, bottom)
      case .bottomRight: (right, bottom)
      }
    let pixels = image.resized(
      width: size.width, height: size.height,
      window: PixelWindow(columns: left..<left + resolution, rows: top..<top + resolution), isFlipped: isMirrored
    ).pixels
    return [Float](unsafeUninitializedCapacity: pixels.count) { values, count in
      ViewOptions.Normalization.symmetric.normalize(pixels, into: values)
      count = pixels.count
    }
  }
}
