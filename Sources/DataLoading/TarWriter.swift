import Foundation

/// Writes a tar archive (POSIX ustar) whose bytes depend on the members' names and contents alone: no owner, no time.
///
/// It has its final name only once it is complete and on the disk.
public final class TarWriter {
  private let path: String
  private let temporary: String
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// Bytes written or about to be.
  public private(set) var byteCount = 0

  private static let bufferByteCount = 1 << 20
  private static let longestName = 100

  /// Begins the archive `path`, as `path.partial`.
  /// - Throws: `DataError` when it cannot be made.
  public init(_ path: String) throws(DataError) {
    self.path = path
    temporary = path + ".partial"
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw DataError(path: temporary, reason: .unwritable(detail: systemReason())) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporary)
  }

  /// Adds a file.
  /// - Precondition: The name has 1 to 100 bytes.
  public func add(_ name: String, _ bytes: [UInt8]) throws(DataError) {
    append(Self.header(name: name, byteCount: bytes.count))
    append(bytes)
    append([UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512))
    if buffer.count >= Self.bufferByteCount { try flush() }
  }

  /// Ends the archive and gives it its name.
  public func finish() throws(DataError) {
    append([UInt8](repeating: 0, count: 1024))
    try flush()
    let isOnDisk = fsync(descriptor) == 0
    let isClosed = close(descriptor) == 0
    descriptor = -1
    guard isOnDisk, isClosed, rename(temporary, path) == 0 else {
      let detail = systemReason()
      unlink(temporary)
      throw DataError(path: path, reason: .unwritable(detail: detail))
    }
  }

  private func append(_ bytes: [UInt8]) {
    buffer += bytes
    byteCount += bytes.count
  }

  private func flush() throws(DataError) {
    do throws(DataError) {
      try writeAll(buffer, to: descriptor, path: temporary)
    } catch {
      close(descriptor)
      descriptor = -1
      unlink(temporary)
      throw error
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private static func header(name: String, byteCount: Int) -> [UInt8] {
    require((1...longestName).contains(name.utf8.count), "TarWriter: the name '\(name)' is too long for a header")
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
    }
    func octal(_ value: Int, digitCount: Int) -> String {
      let digits = String(value, radix: 8)
      return String(repeating: "0", count: max(0, digitCount - digits.utf8.count)) + digits
    }
    put(name, at: 0)
    put("0000644", at: 100)
    put("0000000", at: 108)
    put("0000000", at: 116)
    put(octal(byteCount, digitCount: 11), at: 124)
    put("00000000000", at: 136)
    put("        ", at: 148)
    put("0", at: 156)
    put("ustar\0" + "00", at: 257)
    put(octal(header.reduce(0) { $0 + Int($1) }, digitCount: 6) + "\0 ", at: 148)
    return header
  }
}
