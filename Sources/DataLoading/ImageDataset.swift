/// Images that can be asked for by index, in an order that is the same on every machine.
///
/// Conformances: files and archives (`openDataset(_:)` finds the layout), and images that the program draws. One that
/// has pixels and no files, such as drawn images, only implements these requirements; `decoding` means nothing to it.
/// A method may be called from several threads at once.
public protocol ImageDataset: Sendable {
  /// How many images there are.
  var count: Int { get }

  /// Names of the classes (wnids in ImageNet's layouts), sorted; empty where images have no class.
  /// The class of an image is the rank of its class's name in this list.
  var classNames: [String] { get }

  /// The class of an image, an index into `classNames`; 0 where images have no class.
  func label(of index: Int) -> Int32

  /// What to call an image in messages: its path, `archive.tar!member`, or `drawn:17`.
  func name(of index: Int) -> String

  /// Where images lie in shards that are best read from front to back: how many each shard has. Empty where any order
  /// is as good as another.
  var shardCounts: [Int] { get }

  /// The picture itself, at its own size.
  /// - Throws: `DataError` when it cannot be read or decoded; the loader then skips and records it.
  func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage
}

/// A data set of JPEG and PNG files, whatever holds them.
public protocol EncodedImageDataset: ImageDataset {
  /// The whole file of an image as it is stored.
  /// - Throws: `DataError` when it cannot be read.
  func bytes(at index: Int) throws(DataError) -> [UInt8]

  /// How many bytes an image has as it is stored.
  /// - Throws: `DataError` when it cannot be looked at.
  func byteCount(at index: Int) throws(DataError) -> Int
}

extension EncodedImageDataset {
  /// Reads and decodes an image.
  public func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    try PixelImage(decoding: bytes(at: index), name: name(of: index), options: options)
  }
}

extension ImageDataset {
  /// No shards.
  public var shardCounts: [Int] { [] }

  /// The picture at its own size, with the default limits.
  public func image(at index: Int) throws(DataError) -> PixelImage {
    try image(at: index, decoding: DecodingOptions())
  }
}
