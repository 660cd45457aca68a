import Checkpointing
public import DataLoading

/// Images in the array `arr_0` of an `.npz` file, as evaluation suites exchange samples: N×H×W×3 bytes.
public struct NumPyImages: ImageDataset {
  private let path: String
  private let array: NumPyArray
  private let height: Int
  private let width: Int
  /// How many images there are.
  public let count: Int
  /// None: classes are not in this file.
  public let classNames: [String] = []

  static let arrayName = "arr_0"

  /// Opens a file.
  /// - Throws: `CheckpointError` if it cannot be read; `DataError` if it holds something else than images.
  public init(path: String) throws {
    let archive = try NumPyArchive(path: path)
    guard let found = archive.description(of: Self.arrayName), found.elementType == .uint8, found.shape.count == 4,
      found.shape[3] == 3, found.elementCount > 0
    else {
      let found = archive.tensors.map { "\($0.name) \($0.shape) of \($0.elementType.rawValue)" }
      throw DataError(
        path: path,
        reason: .noImages(
          detail: "expected arr_0 of N×H×W×3 bytes, found \(found.isEmpty ? "nothing" : found.joined(separator: ", "))"
        ))
    }
    self.path = path
    (count, height, width) = (found.shape[0], found.shape[1], found.shape[2])
    array = try archive.array(Self.arrayName)
  }

  /// 0: images have no class.
  public func label(of index: Int) -> Int32 { 0 }

  /// The file and the image's number.
  public func name(of index: Int) -> String { "\(path)!\(index)" }

  /// The picture.
  public func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    let size = height * width * 3
    return PixelImage(width: width, height: height, pixels: array.bytes(index * size..<(index + 1) * size))
  }
}
