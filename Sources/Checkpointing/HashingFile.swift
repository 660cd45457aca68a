import Crypto
import Foundation

/// What was written: enough to find out later whether it is still the same.
public struct WrittenFile: Sendable, Equatable {
  /// Length in bytes.
  public let byteCount: Int
  /// SHA-256 in lower-case hexadecimal.
  public let sha256: String
}

/// A new file that computes its SHA-256 while it is written.
///
/// It removes itself unless `finish` is reached, so an error leaves no half a file behind.
final class HashingFile {
  let path: String
  private var descriptor: Int32
  private var hash = SHA256()
  private var byteCount = 0

  /// Small enough to be hashed while still in the cache that the write reads it from.
  private static let blockByteCount = 1 << 20
  /// Creates or empties the file.
  init(creating path: String) throws(CheckpointError) {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileSystem.failure("open", path) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(path)
  }

  /// Appends bytes.
  func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    var start = 0
    while start < bytes.count {
      let block = bytes.region(start..<min(start + Self.blockByteCount, bytes.count))
      hash.update(bufferPointer: block)
      try writeBlock(block)
      start += block.count
    }
  }

  /// Appends text as UTF-8.
  func write(_ text: String) throws(CheckpointError) {
    let bytes = Array(text.utf8)
    // A typed error cannot leave the untyped closure of an array, hence the result value.
    let result = bytes.withUnsafeBytes { content in
      Result { () throws(CheckpointError) in try write(content) }
    }
    try result.get()
  }

  /// Flushes everything to the disk and closes the file.
  func finish() throws(CheckpointError) -> WrittenFile {
    guard fsync(descriptor) == 0 else { throw FileSystem.failure("fsync", path) }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else {
      let error = FileSystem.failure("close", path)
      unlink(path)
      throw error
    }
    return WrittenFile(byteCount: byteCount, sha256: hexadecimal(hash.finalize()))
  }

  private func writeBlock(_ block: UnsafeRawBufferPointer) throws(CheckpointError) {
    var rest = block
    while !rest.isEmpty {
      let written = Foundation.write(descriptor, rest.baseAddress, rest.count)
      guard written >= 0 else {
        if errno == EINTR { continue }
        throw FileSystem.failure("write", path)
      }
      byteCount += written
      rest = rest.region(written..<rest.count)
    }
  }
}

/// The SHA-256 of a whole file, in lower-case hexadecimal. The empty file has one too.
func sha256(of region: ByteRegion) -> String {
  var hash = SHA256()
  let step = 1 << 20
  for start in stride(from: 0, to: region.bytes.count, by: step) {
    hash.update(bufferPointer: region.bytes.region(start..<min(start + step, region.bytes.count)))
  }
  return hexadecimal(hash.finalize())
}

func hexadecimal(_ digest: SHA256.Digest) -> String {
  let digits = Array("0123456789abcdef")
  return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
