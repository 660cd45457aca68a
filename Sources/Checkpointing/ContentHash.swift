import Crypto

/// A SHA-256 of things one after the other.
public struct ContentHash {
  private var hash = SHA256()

  /// The hash of nothing.
  public init() {}

  /// Adds a text and its end: "ab" then "c" is not "a" then "bc".
  public mutating func add(_ text: String) {
    hash.update(data: Array(text.utf8))
    hash.update(data: [0 as UInt8])
  }

  /// Adds numbers as they lie in memory.
  public mutating func add(_ floats: [Float]) {
    floats.withUnsafeBytes { hash.update(bufferPointer: $0) }
  }

  /// The hash of what has been added, in lower-case hexadecimal.
  public var hexadecimalText: String { hexadecimal(hash.finalize()) }
}

/// The SHA-256 of a whole file, in lower-case hexadecimal: what `sha256sum` prints.
/// - Throws: `CheckpointError` if the file cannot be read.
public func sha256(ofFile path: String) throws(CheckpointError) -> String {
  sha256(of: try ByteRegion(mapping: path))
}
