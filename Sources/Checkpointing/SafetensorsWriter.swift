import Foundation

/// Writes a safetensors file tensor by tensor, so that nothing but the current tensor needs to be in memory.
///
/// Tensors are stored sorted by name, metadata sorted by key: the same content always gives the same bytes. A writer
/// that is dropped before `finish` removes its file.
///
/// Format: https://github.com/huggingface/safetensors
public final class SafetensorsWriter {
  /// The tensors in the order in which their elements must be written.
  public let tensors: [TensorDescription]
  private let file: HashingFile
  private var nextTensor = 0

  /// Creates the file and writes its header.
  /// - Throws: `CheckpointError` if two tensors have one name or the file cannot be written.
  public init(
    path: String, tensors: [TensorDescription], metadata: [String: String] = [:]
  ) throws(CheckpointError) {
    self.tensors = tensors.sorted { $0.name < $1.name }
    for (first, second) in zip(self.tensors, self.tensors.dropFirst()) where first.name == second.name {
      throw CheckpointError(path: path, .invalidName(name: first.name, rule: "two tensors have it"))
    }
    let header = Self.header(self.tensors, metadata: metadata)
    file = try HashingFile(creating: path)
    let length = UInt64(header.utf8.count).littleEndian
    let result = withUnsafeBytes(of: length) { bytes in
      Result { () throws(CheckpointError) in try file.write(bytes) }
    }
    try result.get()
    try file.write(header)
  }

  /// Writes all elements of the next tensor of `tensors`: row-major, little-endian.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  /// - Precondition: `bytes` has as many bytes as that tensor.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard nextTensor < tensors.count, bytes.count == tensors[nextTensor].byteCount else {
      fatalError("SafetensorsWriter: \(bytes.count) bytes do not fit tensor \(nextTensor) of \(tensors)")
    }
    nextTensor += 1
    try file.write(bytes)
  }

  /// Writes all elements of the next tensor, which must hold 32-bit floats.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  /// - Precondition: `floats` has as many elements as that tensor.
  public func write(_ floats: UnsafeBufferPointer<Float>) throws(CheckpointError) {
    try write(UnsafeRawBufferPointer(floats))
  }

  /// Flushes the file to the disk.
  /// - Throws: `CheckpointError` if that fails; the file is gone then.
  /// - Precondition: Every tensor has been written.
  public func finish() throws(CheckpointError) -> WrittenFile {
    guard nextTensor == tensors.count else {
      fatalError("SafetensorsWriter: \(tensors.count - nextTensor) tensors were never written")
    }
    return try file.finish()
  }

  private static func header(_ tensors: [TensorDescription], metadata: [String: String]) -> String {
    var entries: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
      entries.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    var offset = 0
    for tensor in tensors {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let end = offset + tensor.byteCount
      entries.append(
        "\(quoted(tensor.name)):{\"dtype\":\"\(tensor.elementType.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    let header = "{\(entries.joined(separator: ","))}"
    // Spaces up to a multiple of eight, so that the data is aligned in a mapped file.
    return header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\u{0}"..<" ":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

/// The elements of a tensor to be written, row-major.
public enum TensorElements: Sendable {
  /// 32-bit floats.
  case float32([Float])
  /// 32-bit integers.
  case int32([Int32])
  /// 16-bit integers.
  case int16([Int16])
  /// Bytes.
  case uint8([UInt8])

  /// Calls `body` with the bytes.
  fileprivate func withBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    // A typed error cannot leave the untyped closure of an array, hence the result value.
    func result(_ bytes: UnsafeRawBufferPointer) -> Swift.Result<Result, CheckpointError> {
      Swift.Result { () throws(CheckpointError) in try body(bytes) }
    }
    let outcome =
      switch self {
      case .float32(let elements): elements.withUnsafeBytes(result)
      case .int32(let elements): elements.withUnsafeBytes(result)
      case .int16(let elements): elements.withUnsafeBytes(result)
      case .uint8(let elements): elements.withUnsafeBytes(result)
      }
    return try outcome.get()
  }
}

extension Safetensors {
  /// Writes tensors to `path`, which appears only when it is complete.
  ///
  /// Only the elements of one tensor need to be in memory at a time.
  /// - Parameters:
  ///   - tensors: What the file holds, in any order.
  ///   - metadata: Texts by name for the header's `__metadata__`.
  ///   - path: Of the file, which replaces one that is there.
  ///   - elements: Called once for every tensor, in order of the names; must give what its description says.
  /// - Returns: Length and SHA-256 of the file.
  /// - Throws: `CheckpointError` if a name is used twice or the disk is full or failing.
  @discardableResult
  public static func write(
    _ tensors: [TensorDescription], metadata: [String: String] = [:], to path: String,
    elements: (TensorDescription) throws(CheckpointError) -> TensorElements
  ) throws(CheckpointError) -> WrittenFile {
    let partialPath = path + CheckpointFolder.partialSuffix
    let writer = try SafetensorsWriter(path: partialPath, tensors: tensors, metadata: metadata)
    for tensor in writer.tensors {
      try elements(tensor).withBytes { (bytes) throws(CheckpointError) in try writer.write(bytes) }
    }
    let written = try writer.finish()
    try FileSystem.rename(partialPath, to: path)
    return written
  }

  /// Writes 32-bit float tensors to `path`, which appears only when it is complete.
  /// - Parameters:
  ///   - tensors: Name, shape and row-major elements of each tensor, in any order.
  ///   - metadata: Texts by name for the header's `__metadata__`.
  ///   - path: Of the file, which replaces one that is there.
  /// - Returns: Length and SHA-256 of the file.
  /// - Throws: `CheckpointError` if a shape is impossible, a name is used twice, or the disk is full or failing.
  /// - Precondition: Each tensor has as many elements as its shape says.
  @discardableResult
  public static func write(
    _ tensors: [(name: String, shape: [Int], elements: [Float])], metadata: [String: String] = [:], to path: String
  ) throws(CheckpointError) -> WrittenFile {
    var descriptions: [TensorDescription] = []
    var elements: [String: [Float]] = [:]
    for tensor in tensors {
      guard let description = TensorDescription(name: tensor.name, elementType: .float32, shape: tensor.shape) else {
        throw CheckpointError(path: path, .malformed(format: "safetensors", detail: "impossible shape \(tensor.shape)"))
      }
      descriptions.append(description)
      elements[tensor.name] = tensor.elements
    }
    return try write(descriptions, metadata: metadata, to: path) { .float32(elements[$0.name] ?? []) }
  }
}
