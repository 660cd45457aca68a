/// A safetensors file, opened for reading.
///
/// The file is mapped, not loaded; its header is validated completely when it is opened: lengths, types, shapes,
/// names, and that every byte of data belongs to exactly one tensor.
///
/// Format: https://github.com/huggingface/safetensors
public struct Safetensors: TensorFile, Sendable {
  /// Where the file lies.
  public let path: String
  /// Every tensor, sorted by name.
  public let tensors: [TensorDescription]
  /// The file's `__metadata__`.
  public let metadata: [String: String]

  private let region: ByteRegion
  private let entries: [String: SafetensorsHeader.Entry]

  /// Opens and validates the file at `path`.
  /// - Throws: `CheckpointError` if the file cannot be read or does not follow the format.
  public init(path: String) throws(CheckpointError) {
    try self.init(ByteRegion(mapping: path))
  }

  /// Reads a file that is already in memory; `path` names it in messages.
  /// - Throws: `CheckpointError` if the bytes do not follow the format.
  public init(bytes: [UInt8], path: String = "safetensors in memory") throws(CheckpointError) {
    try self.init(ByteRegion(copying: bytes, path: path))
  }

  init(_ region: ByteRegion) throws(CheckpointError) {
    let header: SafetensorsHeader
    do {
      header = try SafetensorsHeader(of: region.bytes)
    } catch {
      throw CheckpointError(
        path: region.path, .malformed(format: "safetensors", detail: "\(error.detail) (at byte \(error.offset))"))
    }
    self.region = region
    path = region.path
    tensors = header.entries.map(\.tensor)
    metadata = header.metadata
    entries = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.tensor.name, $0) })
  }

  /// The description of one tensor, or nil if there is none of this name.
  public func description(of name: String) -> TensorDescription? {
    entries[name]?.tensor
  }

  /// Calls `body` with the tensor's elements, straight from the mapped file.
  /// - Throws: `CheckpointError` if there is no such tensor.
  public func withBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(CheckpointError) -> Result {
    guard let entry = entries[name] else { throw CheckpointError(path: path, .missingTensor(name: name)) }
    return withExtendedLifetime(region) { body(region.bytes.region(entry.range)) }
  }
}
