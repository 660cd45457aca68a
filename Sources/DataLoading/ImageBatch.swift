/// One view of a batch of images.
public struct ImageView: Sendable, Equatable {
  /// Height and width in pixels.
  public let resolution: Int
  /// `[count, resolution, resolution, 3]`, normalized as the view's options say ([-1, 1] by default).
  public let pixels: [Float]
}

/// What one rank trains on in one step.
public struct ImageBatch: Sendable, Equatable {
  /// One for each of the loader's view options, all showing the same images.
  public let views: [ImageView]
  /// The class of each image.
  public let labels: [Int32]
  /// Which images of the data set these are.
  public let sampleIndices: [Int]
  /// Position in the run of the first image that this batch stands for; see `Sampler`.
  public let firstGlobalIndex: Int
  /// The epoch of that position, from 0.
  public let epoch: Int

  /// Number of images. Less than asked for (even 0) only at the end of a sequential pass, or where one left out an
  /// unusable image.
  public var count: Int { labels.count }
  /// The first view: `[count, resolution, resolution, 3]`.
  public var pixels: [Float] { views[0].pixels }
  /// Height and width of the first view.
  public var resolution: Int { views[0].resolution }
}

/// An image that could not be used.
public struct BadImage: Codable, Sendable, Equatable {
  /// Its path, or `archive.tar!member`.
  public let name: String
  /// Why.
  public let reason: String
  /// Its index in the data set.
  public let sampleIndex: Int

  /// Tells what is wrong with an image.
  public init(name: String, reason: String, sampleIndex: Int) {
    self.name = name
    self.reason = reason
    self.sampleIndex = sampleIndex
  }
}
