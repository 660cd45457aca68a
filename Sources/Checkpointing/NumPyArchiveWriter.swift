import Foundation

/// Writes an `.npz` file with one array of bytes, piece by piece: what evaluation suites read samples from.
///
/// The file appears under its name only when it is complete. A writer that is dropped before `finish` removes its file.
///
/// Formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html in a stored zip archive (always with
/// zip64 fields, so that length does not matter).
public final class NumPyArchiveWriter {
  private let path: String
  private let partialPath: String
  private let entry: [UInt8]
  private var descriptor: Int32
  private let contentByteCount: Int
  private var writtenByteCount = 0
  private var checksum: UInt32 = 0
  /// Where the checksum stands in the local header.
  private static let checksumOffset = 14
  private var headerByteCount: Int { 30 + entry.count + 20 }

  /// Creates the file.
  /// - Parameters:
  ///   - name: The array's name, such as `arr_0`.
  ///   - shape: The array's dimensions; elements are unsigned bytes, row-major.
  /// - Throws: `CheckpointError` if the file cannot be written.
  public init(path: String, name: String = "arr_0", shape: [Int]) throws(CheckpointError) {
    self.path = path
    partialPath = path + CheckpointFolder.partialSuffix
    entry = Array((name + ".npy").utf8)
    let arrayHeader = Self.arrayHeader(shape: shape)
    contentByteCount = arrayHeader.count + shape.reduce(1, *)
    descriptor = open(partialPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileSystem.failure("open", partialPath) }
    try write(localHeader(checksum: 0))
    try append(arrayHeader)
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(partialPath)
  }

  /// Appends elements.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  public func append(_ bytes: [UInt8]) throws(CheckpointError) {
    checksum = bytes.withUnsafeBytes { crc32($0, continuing: checksum) }
    writtenByteCount += bytes.count
    try write(bytes)
  }

  /// Completes the file and gives it its name.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  /// - Precondition: As many elements were appended as the shape says.
  public func finish() throws(CheckpointError) {
    guard writtenByteCount == contentByteCount else {
      fatalError("NumPyArchiveWriter: \(writtenByteCount) of \(contentByteCount) bytes were written")
    }
    try write(directory())
    let header = localHeader(checksum: checksum)
    guard pwrite(descriptor, header, header.count, 0) == header.count, fsync(descriptor) == 0 else {
      throw FileSystem.failure("write", partialPath)
    }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else { throw FileSystem.failure("close", partialPath) }
    try FileSystem.rename(partialPath, to: path)
  }

  private func write(_ bytes: [UInt8]) throws(CheckpointError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count >= 0 || errno == EINTR else { throw FileSystem.failure("write", partialPath) }
      rest = rest.dropFirst(max(0, count))
    }
  }

  /// Magic, version 1.0 and a Python dictionary, padded to a multiple of 64 bytes.
  private static func arrayHeader(shape: [Int]) -> [UInt8] {
    let dimensions = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': '|u1', 'fortran_order': False, 'shape': (\(dimensions)), }"
    text += String(repeating: " ", count: 63 - (10 + text.utf8.count) % 64) + "\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0] + littleEndian(UInt16(text.utf8.count)) + Array(text.utf8)
  }

  /// The fields that the local header and the directory share: versions, no flags, stored, a date of 1980.
  private func commonFields(checksum: UInt32) -> [UInt8] {
    littleEndian(UInt16(45)) + littleEndian(UInt16(0)) + littleEndian(UInt16(0)) + littleEndian(UInt16(0))
      + littleEndian(UInt16(0x21)) + littleEndian(checksum) + littleEndian(UInt32.max) + littleEndian(UInt32.max)
      + littleEndian(UInt16(entry.count))
  }

  private func localHeader(checksum: UInt32) -> [UInt8] {
    littleEndian(UInt32(0x0403_4B50)) + commonFields(checksum: checksum) + littleEndian(UInt16(20)) + entry
      + lengths(count: 2)
  }

  /// The zip64 field with the content's length, twice.
  private func lengths(count: Int) -> [UInt8] {
    littleEndian(UInt16(1)) + littleEndian(UInt16(8 * count))
      + (0..<count).flatMap { _ in littleEndian(UInt64(contentByteCount)) }
  }

  private func directory() -> [UInt8] {
    let start = headerByteCount + contentByteCount
    let record =
      littleEndian(UInt32(0x0201_4B50)) + littleEndian(UInt16(45)) + commonFields(checksum: checksum)
      + littleEndian(UInt16(20)) + [UInt8](repeating: 0, count: 14) + entry + lengths(count: 2)
    let end =
      littleEndian(UInt32(0x0606_4B50)) + littleEndian(UInt64(44)) + littleEndian(UInt16(45))
      + littleEndian(UInt16(45)) + littleEndian(UInt32(0)) + littleEndian(UInt32(0)) + littleEndian(UInt64(1))
      + littleEndian(UInt64(1)) + littleEndian(UInt64(record.count)) + littleEndian(UInt64(start))
    let locator =
      littleEndian(UInt32(0x0706_4B50)) + littleEndian(UInt32(0)) + littleEndian(UInt64(start + record.count))
      + littleEndian(UInt32(1))
    let last =
      littleEndian(UInt32(0x0605_4B50)) + littleEndian(UInt32(0)) + littleEndian(UInt16(1)) + littleEndian(UInt16(1))
      + littleEndian(UInt32.max) + littleEndian(UInt32.max) + littleEndian(UInt16(0))
    return record + end + locator + last
  }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
