import Foundation

/// The operating system's words for the last failure.
func systemReason() -> String { String(cString: strerror(errno)) }

/// Reads a whole file.
func readFile(_ path: String) throws(DataError) -> [UInt8] {
  let file = try OpenFile(path)
  return try file.read(at: 0, count: file.byteCount, name: path)
}

/// Writes a whole file, replacing what is there.
func writeFile(_ bytes: [UInt8], to path: String) throws(DataError) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw DataError(path: path, reason: .unwritable(detail: systemReason())) }
  do throws(DataError) {
    try writeAll(bytes, to: descriptor, path: path)
  } catch {
    close(descriptor)
    throw error
  }
  // Some file systems report a full disk only here.
  guard close(descriptor) == 0 else { throw DataError(path: path, reason: .unwritable(detail: systemReason())) }
}

/// Writes all of `bytes` to an open file, however many calls it takes.
func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(DataError) {
  var written = 0
  while written < bytes.count {
    let step = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: written), bytes.count - written) }
    if step < 0 && errno == EINTR { continue }
    guard step > 0 else { throw DataError(path: path, reason: .unwritable(detail: systemReason())) }
    written += step
  }
}

/// A file open for reading at any place, from any thread.
final class OpenFile: Sendable {
  let path: String
  let byteCount: Int
  private let descriptor: Int32

  /// - Throws: `DataError` when there is no such file or it may not be read.
  init(_ path: String) throws(DataError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw DataError(path: path, reason: errno == ENOENT ? .missing : .unreadable(detail: systemReason()))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let detail = systemReason()
      close(descriptor)
      throw DataError(path: path, reason: .unreadable(detail: detail))
    }
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Reads `count` bytes from `offset` on.
  /// - Throws: `DataError` when the system refuses or the file ends first.
  func read(at offset: Int, count: Int, name: String) throws(DataError) -> [UInt8] {
    var failure: DataError.Reason?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = 0
      while filled < count {
        let step = pread(descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, off_t(offset + filled))
        if step < 0 && errno == EINTR { continue }
        guard step > 0 else {
          failure = .unreadable(
            detail: step == 0 ? "ends at byte \(offset + filled), \(offset + count) expected" : systemReason())
          return
        }
        filled += step
      }
    }
    if let failure { throw DataError(path: name, reason: failure) }
    return bytes
  }
}
