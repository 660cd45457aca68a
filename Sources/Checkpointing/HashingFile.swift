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
  private let file: UncachedFile
  private var hash = SHA256()
  private var byteCount = 0

  /// Small enough to be hashed while still in the cache that the write reads it from.
  private static let stepByteCount = 1 << 18

  /// Creates or empties the file.
  init(creating path: String) throws(CheckpointError) { file = try UncachedFile(creating: path) }

  var path: String { file.path }

  /// Appends bytes.
  func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    for start in stride(from: 0, to: bytes.count, by: Self.stepByteCount) {
      let part = bytes.region(start..<min(start + Self.stepByteCount, bytes.count))
      hash.update(bufferPointer: part)
      try file.append(part)
    }
    byteCount += bytes.count
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
    try file.finish()
    return WrittenFile(byteCount: byteCount, sha256: hexadecimal(hash.finalize()))
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
