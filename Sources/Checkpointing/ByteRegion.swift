import Foundation

/// Read-only bytes of a whole file, mapped into memory, or a copy of bytes already in memory.
///
/// Mapping costs address space, not memory: pages are read when touched. A file must not be shortened while it is
/// mapped; checkpoints never are, because files are only ever replaced by renaming.
final class ByteRegion: @unchecked Sendable {  // Immutable after init, so any thread may read.
  /// The bytes; valid as long as this object lives.
  let bytes: UnsafeRawBufferPointer
  /// Where the bytes came from, for messages.
  let path: String
  private let isMapped: Bool

  /// Maps the file at `path`.
  init(mapping path: String) throws(CheckpointError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CheckpointError(path: path, .system(operation: "open", code: errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw CheckpointError(path: path, .system(operation: "fstat", code: errno))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(path: path, .unsupported(detail: "anything but a regular file"))
    }
    self.path = path
    guard status.st_size > 0 else {
      // An empty range cannot be mapped.
      isMapped = false
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let count = Int(status.st_size)
    guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
      throw CheckpointError(path: path, .system(operation: "mmap", code: errno))
    }
    isMapped = true
    bytes = UnsafeRawBufferPointer(start: start, count: count)
  }

  /// Memory of its own, filled once: pages are taken when they are written.
  /// - Throws: `CheckpointError` if there is not so much memory, and what `fill` throws.
  init(
    byteCount: Int, path: String, fill: (UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    self.path = path
    guard byteCount > 0 else {
      isMapped = false
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      try fill(UnsafeMutableRawBufferPointer(start: nil, count: 0))
      return
    }
    guard let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      start != MAP_FAILED
    else { throw CheckpointError(path: path, .system(operation: "mmap of \(byteCount) bytes", code: errno)) }
    isMapped = true
    bytes = UnsafeRawBufferPointer(start: start, count: byteCount)
    // From here on `deinit` gives the memory back, also where this throws.
    try fill(UnsafeMutableRawBufferPointer(start: start, count: byteCount))
  }

  /// Copies `content`; `path` names it in messages.
  init(copying content: some Collection<UInt8>, path: String) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
    copy.copyBytes(from: content)
    bytes = UnsafeRawBufferPointer(copy)
    isMapped = false
    self.path = path
  }

  deinit {
    guard let start = bytes.baseAddress else { return }
    if isMapped {
      munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
    } else {
      bytes.deallocate()
    }
  }
}

extension UnsafeRawBufferPointer {
  /// The little-endian integer at `offset`.
  /// - Precondition: The integer lies within the buffer.
  func littleEndian<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type) -> Value {
    Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }

  /// The bytes of `range`.
  /// - Precondition: The range lies within the buffer.
  func region(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[range])
  }
}
