/// What a weight file says about one tensor.
public struct TensorDescription: Sendable, Equatable {
  /// The tensor's name in the file.
  public let name: String
  /// The type of its elements.
  public let elementType: ElementType
  /// Its dimensions, outermost first; empty for a single number.
  public let shape: [Int]
  /// The number of its elements.
  public let elementCount: Int

  /// The number of bytes of its elements, without gaps.
  public var byteCount: Int { elementCount * elementType.byteCount }

  /// Describes a tensor; nil if a dimension is negative or the number of bytes overflows.
  public init?(name: String, elementType: ElementType, shape: [Int]) {
    guard let count = Checkpointing.elementCount(ofShape: shape),
      !count.multipliedReportingOverflow(by: elementType.byteCount).overflow
    else { return nil }
    self.name = name
    self.elementType = elementType
    self.shape = shape
    elementCount = count
  }
}

/// A file of named tensors, whatever its format.
///
/// Opening a file validates all of its structure, so that reading a tensor afterwards fails only for an unknown name
/// or an unsuitable element type. No reader allocates more than the size of the file.
public protocol TensorFile {
  /// Where the file lies, for messages.
  var path: String { get }
  /// Every tensor of the file, sorted by name.
  var tensors: [TensorDescription] { get }
  /// Free text by key, as the writer left it.
  var metadata: [String: String] { get }
  /// The description of one tensor, or nil if there is none of this name.
  func description(of name: String) -> TensorDescription?
  /// Calls `body` with the tensor's elements: row-major, little-endian, without gaps, not necessarily aligned.
  /// The bytes are valid only during the call.
  /// - Throws: `CheckpointError` if there is no such tensor.
  func withBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(CheckpointError) -> Result
}

extension TensorFile {
  /// The names of all tensors, sorted.
  public var names: [String] { tensors.map(\.name) }

  /// The shape of every tensor by name.
  public var shapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
  }

  /// The shape of one tensor.
  /// - Throws: `CheckpointError` if there is no such tensor.
  public func shape(of name: String) throws(CheckpointError) -> [Int] {
    try required(name).shape
  }

  /// The elements of a floating point tensor, row-major. Half precision and bfloat16 convert exactly; double
  /// precision is rounded to nearest.
  /// - Throws: `CheckpointError` if there is no such tensor or its elements are not floating point numbers.
  public func floats(_ name: String) throws(CheckpointError) -> [Float] {
    let description = try required(name)
    guard description.elementType.isFloatingPoint else {
      throw CheckpointError(
        path: path,
        .elementType(name: name, expected: "floating point", found: description.elementType.rawValue))
    }
    return try withBytes(of: name) { bytes in
      switch description.elementType {
      case .float32: elements(of: bytes, as: UInt32.self) { Float(bitPattern: $0) }
      case .float64: elements(of: bytes, as: UInt64.self) { Float(Double(bitPattern: $0)) }
      case .float16: elements(of: bytes, as: UInt16.self) { float(halfBits: $0) }
      default: elements(of: bytes, as: UInt16.self) { float(brainBits: $0) }
      }
    }
  }

  /// The elements of a floating point tensor, row-major, in double precision; every narrower type converts exactly.
  /// - Throws: `CheckpointError` if there is no such tensor or its elements are not floating point numbers.
  public func doubles(_ name: String) throws(CheckpointError) -> [Double] {
    guard try required(name).elementType == .float64 else { return try floats(name).map(Double.init) }
    return try withBytes(of: name) { elements(of: $0, as: UInt64.self) { Double(bitPattern: $0) } }
  }

  /// The elements of an integer or Boolean tensor, row-major; true is 1.
  /// - Throws: `CheckpointError` if there is no such tensor, its elements are floating point numbers, or one of them
  ///   does not fit into 32 bits.
  public func int32s(_ name: String) throws(CheckpointError) -> [Int32] {
    let description = try required(name)
    guard !description.elementType.isFloatingPoint else {
      throw CheckpointError(
        path: path, .elementType(name: name, expected: "integers", found: description.elementType.rawValue))
    }
    var outOfRange: Int64?
    let values: [Int32] = try withBytes(of: name) { bytes in
      switch description.elementType {
      case .int64:
        elements(of: bytes, as: Int64.self) { value in
          if let narrow = Int32(exactly: value) { return narrow }
          outOfRange = outOfRange ?? value
          return 0
        }
      case .int32: elements(of: bytes, as: Int32.self) { $0 }
      case .int16: elements(of: bytes, as: Int16.self) { Int32($0) }
      case .int8: elements(of: bytes, as: Int8.self) { Int32($0) }
      case .bool: elements(of: bytes, as: UInt8.self) { $0 == 0 ? 0 : 1 }
      default: elements(of: bytes, as: UInt8.self) { Int32($0) }
      }
    }
    if let outOfRange {
      throw CheckpointError(path: path, .integerOutOfRange(name: name, value: outOfRange))
    }
    return values
  }

  func required(_ name: String) throws(CheckpointError) -> TensorDescription {
    guard let description = description(of: name) else {
      throw CheckpointError(path: path, .missingTensor(name: name))
    }
    return description
  }
}

/// Converts every little-endian element of `bytes`.
private func elements<Stored: FixedWidthInteger, Value>(
  of bytes: UnsafeRawBufferPointer, as type: Stored.Type, _ convert: (Stored) -> Value
) -> [Value] {
  let count = bytes.count / MemoryLayout<Stored>.size
  return [Value](unsafeUninitializedCapacity: count) { buffer, initializedCount in
    for index in 0..<count {
      let stored = bytes.littleEndian(at: index * MemoryLayout<Stored>.size, as: type)
      buffer.initializeElement(at: index, to: convert(stored))
    }
    initializedCount = count
  }
}
