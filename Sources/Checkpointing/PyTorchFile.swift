import Foundation

/// A file written by `torch.save`, opened for reading: `.pt`, `.pth`, `.ckpt`.
///
/// Both layouts are read: the zip container (PyTorch 1.6 and later) and the older sequence of pickles. Of the pickle
/// inside only the part that describes tensors and plain data is understood. Nothing is executed; names of anything
/// else are refused with the name. Tensors that are views with strides are laid out row-major when read.
///
/// Tensors are named by their path through the dictionaries and lists of the file, joined by dots. Trainers put the
/// weights beside other things; the tensors of this file are those of one `section`.
public struct PyTorchFile: TensorFile, Sendable {
  /// Where the file lies.
  public let path: String
  /// Every tensor of the section, sorted by name; the section's own path is not part of the names.
  public let tensors: [TensorDescription]
  /// Numbers and texts at the top of the file, such as `epoch`.
  public let metadata: [String: String]
  /// The top-level keys under which there are tensors.
  public let sections: [String]

  private struct View {
    let description: TensorDescription
    let tensor: TorchTensor
    /// The bytes of the tensor's storage in the file.
    let storage: Range<Int>
  }
  private let region: ByteRegion
  private let views: [String: View]

  /// Opens and validates the file at `path`.
  /// - Parameters:
  ///   - path: Of a file by `torch.save`, in the zip format or the one before.
  ///   - section: The path of the dictionary whose tensors are wanted, such as `model_ema`. If nil, the whole file if
  ///     there are tensors at its top, otherwise the first present of `state_dict`, `model_state_dict`, `model`,
  ///     `module` and `params`, otherwise the whole file.
  /// - Throws: `CheckpointError` if the file cannot be read, is damaged, mentions anything but tensors and plain data,
  ///   or has no such section.
  public init(path: String, section: String? = nil) throws(CheckpointError) {
    try self.init(ByteRegion(mapping: path), section: section)
  }

  /// Reads a file that is already in memory; `path` names it in messages.
  /// - Throws: `CheckpointError` as for a file on disk.
  public init(
    bytes: [UInt8], path: String = "PyTorch file in memory", section: String? = nil
  ) throws(CheckpointError) {
    try self.init(ByteRegion(copying: bytes, path: path), section: section)
  }

  init(_ region: ByteRegion, section: String?) throws(CheckpointError) {
    self.region = region
    path = region.path
    let container = try TorchContainer(region)
    let tree = TorchTree(root: container.root, graph: container.graph, byteCount: region.bytes.count)
    sections = try tree.sections(path: region.path)
    metadata = tree.scalars()
    var views: [String: View] = [:]
    for (name, index) in try tree.tensors(inSection: section, path: region.path) {
      let tensor = container.graph.tensors[index]
      let storage = container.storageRanges[tensor.storage]
      let description = try Self.checked(tensor, name: name, storage: storage, in: region)
      views[name] = View(description: description, tensor: tensor, storage: storage)
    }
    self.views = views
    tensors = views.values.map(\.description).sorted { $0.name < $1.name }
  }

  /// The description of one tensor, or nil if there is none of this name.
  public func description(of name: String) -> TensorDescription? {
    views[name]?.description
  }

  /// Calls `body` with the tensor's elements: straight from the file, or from a row-major copy if the tensor is a view
  /// with other strides.
  /// - Throws: `CheckpointError` if there is no such tensor.
  public func withBytes<Result>(
    of name: String, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(CheckpointError) -> Result {
    guard let view = views[name] else { throw CheckpointError(path: path, .missingTensor(name: name)) }
    return withExtendedLifetime(region) {
      let storage = region.bytes.region(view.storage)
      guard !view.tensor.isRowMajor else {
        let start = view.tensor.offset * view.tensor.elementType.byteCount
        return body(storage.region(start..<start + view.description.byteCount))
      }
      return view.tensor.rowMajorBytes(of: storage, count: view.description.elementCount).withUnsafeBytes(body)
    }
  }

  /// Checks that every element of a tensor lies in its storage, and that it takes no more memory than the file.
  private static func checked(
    _ tensor: TorchTensor, name: String, storage: Range<Int>, in region: ByteRegion
  ) throws(CheckpointError) -> TensorDescription {
    func malformed(_ detail: String) -> CheckpointError {
      CheckpointError(path: region.path, .malformed(format: "PyTorch", detail: "tensor '\(name)' \(detail)"))
    }
    guard let description = TensorDescription(name: name, elementType: tensor.elementType, shape: tensor.shape) else {
      throw malformed("has the impossible shape \(tensor.shape)")
    }
    guard description.elementCount > 0 else {
      // An empty tensor may carry any offset and strides; it touches nothing.
      return description
    }
    guard let end = tensor.endOffset, end <= storage.count / tensor.elementType.byteCount else {
      throw malformed("of shape \(tensor.shape) reaches past the end of its storage")
    }
    guard description.byteCount <= region.bytes.count else {
      // Only a view that repeats elements can be larger than the file that holds it.
      throw malformed("of shape \(tensor.shape) is larger than the file")
    }
    return description
  }
}

extension TorchTensor {
  /// The offset behind the last element that the tensor touches, or nil if that overflows. It must not be empty.
  fileprivate var endOffset: Int? {
    var end = offset
    for (size, stride) in zip(shape, strides) {
      let (reach, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, carry) = end.addingReportingOverflow(reach)
      guard !overflow, !carry else { return nil }
      end = sum
    }
    let (next, carry) = end.addingReportingOverflow(1)
    return carry ? nil : next
  }

  /// Whether the elements follow each other without gaps in row-major order.
  fileprivate var isRowMajor: Bool {
    if shape.contains(0) { return offset == 0 }
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() where size != 1 {
      guard stride == expected else { return false }
      expected *= size
    }
    return true
  }

  /// A row-major copy of the elements. Offsets and strides must have been checked.
  fileprivate func rowMajorBytes(of storage: UnsafeRawBufferPointer, count: Int) -> [UInt8] {
    let width = elementType.byteCount
    return [UInt8](unsafeUninitializedCapacity: count * width) { buffer, initializedCount in
      let target = UnsafeMutableRawBufferPointer(buffer)
      var index = [Int](repeating: 0, count: shape.count)
      // An axis of one element never steps; its stride may be any number.
      let strides = zip(shape, self.strides).map { $0 == 1 ? 0 : $1 }
      var source = offset
      for element in 0..<count {
        for byte in 0..<width { target[element * width + byte] = storage[source * width + byte] }
        // Step to the next index, the last axis first.
        for axis in shape.indices.reversed() {
          index[axis] += 1
          source += strides[axis]
          if index[axis] < shape[axis] { break }
          source -= strides[axis] * shape[axis]
          index[axis] = 0
        }
      }
      initializedCount = count * width
    }
  }
}
