/// An `.npz` file, opened for reading: arrays that NumPy saved, stored or deflated.
///
/// Nothing in it is executed: arrays of Python objects are refused. Stored arrays are read from the mapped file; a
/// deflated one is unpacked each time that it is asked for, into memory that is at most 1032 times the file's size.
public struct NumPyArchive: TensorFile, Sendable {
  private static let format = "NumPy"
  /// Where the file lies.
  public let path: String
  /// Every array by its name without `.npy`, sorted.
  public let tensors: [TensorDescription]
  /// The archive's comment under `comment`, if it has one: what `NumPyArchiveWriter` was told.
  public let metadata: [String: String]

  private let archive: ZipArchive
  /// Where the elements begin, by name.
  private let starts: [String: Int]

  /// Opens and validates the file at `path`.
  /// - Throws: `CheckpointError` if the file cannot be read or does not follow the format.
  public init(path: String) throws(CheckpointError) { try self.init(ByteRegion(mapping: path)) }

  /// Reads a file that is already in memory.
  init(bytes: [UInt8], path: String = "npz in memory") throws(CheckpointError) {
    try self.init(ByteRegion(copying: bytes, path: path))
  }

  private init(_ region: ByteRegion) throws(CheckpointError) {
    archive = try ZipArchive(region, allowsDeflated: true)
    path = region.path
    metadata = archive.comment.isEmpty ? [:] : ["comment": archive.comment]
    var tensors: [TensorDescription] = []
    var starts: [String: Int] = [:]
    for entry in archive.names where entry.hasSuffix(Self.suffix) {
      let name = String(entry.dropLast(Self.suffix.count))
      let beginning = try archive.prefix(of: entry, limit: NumPyHeader.longest + 12)
      let header: NumPyHeader
      do throws(NumPyHeader.Problem) {
        header = try NumPyHeader(beginning)
      } catch {
        throw CheckpointError(
          path: path,
          error.isUnsupported
            ? .unsupported(detail: "array '\(name)': \(error.detail)")
            : .malformed(format: Self.format, detail: "array '\(name)': \(error.detail)"))
      }
      guard let tensor = TensorDescription(name: name, elementType: header.elementType, shape: header.shape),
        tensor.byteCount == (archive.byteCount(of: entry) ?? 0) - header.byteCount
      else {
        throw CheckpointError(
          path: path,
          .malformed(format: Self.format, detail: "array '\(name)' is not as long as its shape \(header.shape) says"))
      }
      tensors.append(tensor)
      starts[name] = header.byteCount
    }
    self.tensors = tensors
    self.starts = starts
  }

  private static let suffix = ".npy"

  /// The description of one array, or nil if there is none of this name.
  public func description(of name: String) -> TensorDescription? { tensors.first { $0.name == name } }

  /// One array, unpacked where necessary.
  /// - Throws: `CheckpointError` if there is no such array, or it is damaged.
  public func array(_ name: String) throws(CheckpointError) -> NumPyArray {
    let description = try required(name)
    guard let (region, range) = try archive.content(of: name + Self.suffix), let start = starts[name] else {
      throw CheckpointError(path: path, .missingTensor(name: name))
    }
    return NumPyArray(description: description, region: region, range: range.dropFirst(start))
  }

  /// Calls `body` with the array's elements.
  /// - Throws: `CheckpointError` if there is no such array, or it is damaged.
  public func withBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(CheckpointError) -> Result { try array(name).withBytes(body) }
}

/// One array of an archive; its elements stay where they are as long as it lives.
public struct NumPyArray: Sendable {
  /// Name, element type and shape.
  public let description: TensorDescription
  fileprivate let region: ByteRegion
  fileprivate let range: Range<Int>

  /// A copy of some of its bytes: elements are row-major, little-endian, without gaps.
  /// - Precondition: `part` lies within the array.
  public func bytes(_ part: Range<Int>) -> [UInt8] {
    precondition(part.lowerBound >= 0 && part.upperBound <= range.count, "NumPyArray: \(part) of \(range.count) bytes")
    return withBytes { Array($0[part]) }
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withExtendedLifetime(region) { body(region.bytes.region(range)) }
  }
}
