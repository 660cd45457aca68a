import Foundation

/// Writes an `.npz` file, array by array and piece by piece: what evaluation suites read.
///
/// The file appears under its name only when it is complete. A writer that is dropped before `finish` removes its file.
///
/// Formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html in a stored zip archive (always with
/// zip64 fields, so that length does not matter).
public final class NumPyArchiveWriter {
  private struct Entry {
    let name: [UInt8]
    let offset: Int
    let byteCount: Int
    var writtenByteCount = 0
    var checksum: UInt32 = 0
  }

  private let path: String
  private let partialPath: String
  private let comment: [UInt8]
  private var descriptor: Int32
  private var entries: [Entry] = []
  private var fileByteCount = 0

  /// Bytes of the longest comment.
  public static let longestComment = Int(UInt16.max)

  /// Creates the file.
  /// - Parameters:
  ///   - path: Of the file, which appears only when it is complete and replaces one that is there.
  ///   - comment: Stands at the end of the file, where readers of arrays do not look.
  /// - Throws: `CheckpointError` if the file cannot be written.
  public init(path: String, comment: String = "") throws(CheckpointError) {
    self.path = path
    self.comment = Array(comment.utf8)
    guard self.comment.count <= Self.longestComment else {
      fatalError("NumPyArchiveWriter: a comment of \(self.comment.count) bytes")
    }
    partialPath = path + CheckpointFolder.partialSuffix
    descriptor = open(partialPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileSystem.failure("open", partialPath) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(partialPath)
  }

  /// Begins an array; the one before is complete.
  /// - Parameters:
  ///   - name: The array's name, such as `arr_0`.
  ///   - elementType: Of every element that is appended.
  ///   - shape: Its dimensions; elements are row-major.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  public func begin(
    _ name: String, elementType: ElementType = .uint8, shape: [Int]
  ) throws(CheckpointError) {
    try completeEntry()
    let header = NumPyHeader.bytes(elementType: elementType, shape: shape)
    let entry = Entry(
      name: Array((name + ".npy").utf8), offset: fileByteCount,
      byteCount: header.count + shape.reduce(elementType.byteCount, *))
    entries.append(entry)
    try write(localHeader(entry))
    try append(header)
  }

  /// Appends elements to the array that was begun last, as bytes.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  public func append(_ bytes: [UInt8]) throws(CheckpointError) {
    let last = entries.count - 1
    entries[last].checksum = bytes.withUnsafeBytes { crc32($0, continuing: entries[last].checksum) }
    entries[last].writtenByteCount += bytes.count
    try write(bytes)
  }

  /// Appends numbers to the array that was begun last, whose elements they are.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  public func append<Element: BitwiseCopyable>(numbers: [Element]) throws(CheckpointError) {
    // Every machine that this runs on is little-endian, as the format.
    try append(numbers.withUnsafeBytes { Array($0) })
  }

  /// Completes the file and gives it its name.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  /// - Precondition: Every array has as many elements as its shape says.
  public func finish() throws(CheckpointError) {
    try completeEntry()
    try write(directory())
    guard fsync(descriptor) == 0 else { throw FileSystem.failure("fsync", partialPath) }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else { throw FileSystem.failure("close", partialPath) }
    try FileSystem.rename(partialPath, to: path)
  }

  /// Puts the checksum of the last array into its header.
  private func completeEntry() throws(CheckpointError) {
    guard let entry = entries.last else { return }
    guard entry.writtenByteCount == entry.byteCount else {
      fatalError("NumPyArchiveWriter: \(entry.writtenByteCount) of \(entry.byteCount) bytes were written")
    }
    let header = localHeader(entry)
    guard pwrite(descriptor, header, header.count, off_t(entry.offset)) == header.count else {
      throw FileSystem.failure("write", partialPath)
    }
  }

  private func write(_ bytes: [UInt8]) throws(CheckpointError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count >= 0 || errno == EINTR else { throw FileSystem.failure("write", partialPath) }
      rest = rest.dropFirst(max(0, count))
    }
    fileByteCount += bytes.count
  }

  /// The fields that the local header and the directory share: versions, no flags, stored, a date of 1980.
  private func commonFields(_ entry: Entry) -> [UInt8] {
    littleEndian(UInt16(45)) + littleEndian(UInt16(0)) + littleEndian(UInt16(0)) + littleEndian(UInt16(0))
      + littleEndian(UInt16(0x21)) + littleEndian(entry.checksum) + littleEndian(UInt32.max)
      + littleEndian(UInt32.max) + littleEndian(UInt16(entry.name.count))
  }

  private func localHeader(_ entry: Entry) -> [UInt8] {
    littleEndian(UInt32(0x0403_4B50)) + commonFields(entry) + littleEndian(UInt16(20)) + entry.name
      + wideField([entry.byteCount, entry.byteCount])
  }

  /// The zip64 field.
  private func wideField(_ values: [Int]) -> [UInt8] {
    littleEndian(UInt16(1)) + littleEndian(UInt16(8 * values.count)) + values.flatMap { littleEndian(UInt64($0)) }
  }

  private func directory() -> [UInt8] {
    let start = fileByteCount
    var records: [UInt8] = []
    for entry in entries {
      records += littleEndian(UInt32(0x0201_4B50)) + littleEndian(UInt16(45))
      records += commonFields(entry) + littleEndian(UInt16(28))
      records += [UInt8](repeating: 0, count: 10) + littleEndian(UInt32.max) + entry.name
      records += wideField([entry.byteCount, entry.byteCount, entry.offset])
    }
    let count = littleEndian(UInt64(entries.count))
    var end = littleEndian(UInt32(0x0606_4B50)) + littleEndian(UInt64(44)) + littleEndian(UInt16(45))
    end += littleEndian(UInt16(45)) + littleEndian(UInt32(0)) + littleEndian(UInt32(0)) + count + count
    end += littleEndian(UInt64(records.count)) + littleEndian(UInt64(start))
    // The locator of that record, and the one that every reader looks for first.
    end += littleEndian(UInt32(0x0706_4B50)) + littleEndian(UInt32(0)) + littleEndian(UInt64(start + records.count))
    end += littleEndian(UInt32(1))
    let shortCount = littleEndian(UInt16(entries.count))
    end += littleEndian(UInt32(0x0605_4B50)) + littleEndian(UInt32(0)) + shortCount + shortCount
    end += littleEndian(UInt32.max) + littleEndian(UInt32.max) + littleEndian(UInt16(comment.count)) + comment
    return records + end
  }
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
