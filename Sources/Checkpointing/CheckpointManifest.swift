import Foundation

/// A run of floats of one parameter, as stored in a shard.
///
/// A whole parameter is stored as a tensor under its key with its full shape. A part of one is stored as a
/// one-dimensional tensor named `key@offset`.
public struct PieceEntry: Codable, Sendable, Equatable {
  /// The parameter's name: its published state-dict key.
  public let key: String
  /// The shape of the whole parameter.
  public let shape: [Int]
  /// The first float of this piece, counted in the whole parameter, row-major.
  public let offset: Int
  /// The number of floats of this piece.
  public let count: Int

  /// Describes floats `offset..<offset + count` of a parameter.
  public init(key: String, shape: [Int], offset: Int, count: Int) {
    self.key = key
    self.shape = shape
    self.offset = offset
    self.count = count
  }

  /// Whether this is the whole parameter.
  var isWhole: Bool { offset == 0 && count == elementCount(ofShape: shape) }

  /// The name of the tensor in the shard.
  var storedName: String { isWhole ? key : "\(key)@\(offset)" }

  /// The shape of the tensor in the shard.
  var storedShape: [Int] { isWhole ? shape : [count] }
}

/// One shard file of a checkpoint. Ranks exchange these to agree on the manifest.
public struct FileEntry: Codable, Sendable, Equatable {
  /// The file's name in the checkpoint directory.
  public let name: String
  /// What its floats are: `model`, `ema`, `optimizer`, or another word of the caller.
  public let kind: String
  /// The file's length in bytes.
  public let byteCount: Int
  /// The file's SHA-256 in lower-case hexadecimal.
  public let sha256: String
  /// What the file holds.
  public let pieces: [PieceEntry]

  /// Describes a shard file.
  public init(name: String, kind: String, byteCount: Int, sha256: String, pieces: [PieceEntry]) {
    self.name = name
    self.kind = kind
    self.byteCount = byteCount
    self.sha256 = sha256
    self.pieces = pieces
  }

  /// The name of shard `index` of `count`, such as `model-00000-of-00001.safetensors`.
  public static func name(kind: String, index: Int, count: Int) -> String {
    "\(kind)-\(zeroPadded(index, 5))-of-\(zeroPadded(count, 5)).safetensors"
  }
}

/// What a checkpoint directory says about itself, in `manifest.json`.
public struct CheckpointManifest: Codable, Sendable, Equatable {
  /// The format version that this program writes.
  public static let currentFormatVersion = 1
  static let fileName = "manifest.json"
  /// Holds the manifest's own SHA-256 in the form that `sha256sum -c` reads.
  static let hashFileName = "manifest.sha256"

  /// The whole content of the hash file.
  static func hashFileText(_ sha256: String) -> String { "\(sha256)  \(fileName)\n" }

  /// The version of the directory's layout.
  public var formatVersion = currentFormatVersion
  /// The number of optimizer steps taken.
  public var step: Int
  /// The number of samples consumed from the start of the run, over all ranks: where the data continues.
  public var cursor: Int
  /// The number of ranks that wrote the checkpoint; any number may read it.
  public var worldSize: Int
  /// The resolved recipe, as text.
  public var recipe: String
  /// Whatever else the caller wants back, as JSON text.
  public var state: String
  /// Every shard file.
  public var files: [FileEntry]

  /// Describes a checkpoint.
  public init(step: Int, cursor: Int, worldSize: Int, recipe: String, state: String = "{}", files: [FileEntry]) {
    self.step = step
    self.cursor = cursor
    self.worldSize = worldSize
    self.recipe = recipe
    self.state = state
    self.files = files
  }

  /// The manifest as deterministic JSON text.
  func encoded(path: String) throws(CheckpointError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    } catch {
      throw CheckpointError(path: path, .malformed(format: "manifest", detail: "\(error)"))
    }
  }

  /// Reads a manifest and checks that it makes sense by itself.
  static func decoded(from region: ByteRegion) throws(CheckpointError) -> CheckpointManifest {
    struct Version: Decodable { let formatVersion: Int }
    let manifest: CheckpointManifest
    do {
      let content = Data(region.bytes)
      // First the version alone: another version's manifest may have other fields.
      let version = try JSONDecoder().decode(Version.self, from: content).formatVersion
      guard version == currentFormatVersion else {
        throw CheckpointError(
          path: region.path, .formatVersion(found: version, supported: currentFormatVersion))
      }
      manifest = try JSONDecoder().decode(CheckpointManifest.self, from: content)
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw CheckpointError(path: region.path, .malformed(format: "manifest", detail: "\(error)"))
    }
    try manifest.validate(path: region.path)
    return manifest
  }

  /// Checks names, counts, and that the pieces of every parameter cover it exactly once.
  func validate(path: String) throws(CheckpointError) {
    func malformed(_ detail: String) -> CheckpointError {
      CheckpointError(path: path, .malformed(format: "manifest", detail: detail))
    }
    guard step >= 0, cursor >= 0, worldSize > 0 else {
      throw malformed("step \(step), cursor \(cursor), world size \(worldSize)")
    }
    var names = Set<String>()
    for file in files {
      try Self.checkKind(file.kind, path: path)
      // The name becomes part of a path, so it must not lead out of the directory.
      guard file.name.hasPrefix("\(file.kind)-"), file.name.hasSuffix(".safetensors"), !file.name.contains("/") else {
        throw malformed("the file name '\(file.name)'")
      }
      guard names.insert(file.name).inserted else { throw malformed("two files named '\(file.name)'") }
      guard file.byteCount >= 0 else { throw malformed("'\(file.name)' has \(file.byteCount) bytes") }
    }
    let pieces = files.flatMap { file in file.pieces.map { (kind: file.kind, piece: $0) } }
    for (kind, ofKind) in Dictionary(grouping: pieces, by: \.kind).sorted(by: { $0.key < $1.key }) {
      for (key, ofKey) in Dictionary(grouping: ofKind.map(\.piece), by: \.key).sorted(by: { $0.key < $1.key }) {
        try Self.checkCoverage(of: key, kind: kind, pieces: ofKey, path: path)
      }
    }
  }

  /// A kind is a word that can be part of a file name.
  static func checkKind(_ kind: String, path: String) throws(CheckpointError) {
    let allowed = kind.utf8.allSatisfy { ("a"..."z").contains(Unicode.Scalar($0)) || $0 == UInt8(ascii: "-") }
    guard !kind.isEmpty, allowed else {
      throw CheckpointError(
        path: path, .invalidName(name: kind, rule: "a kind has lower-case letters and hyphens only"))
    }
  }

  private static func checkCoverage(
    of key: String, kind: String, pieces: [PieceEntry], path: String
  ) throws(CheckpointError) {
    func failure(_ detail: String) -> CheckpointError {
      CheckpointError(path: path, .coverage(kind: kind, key: key, detail: detail))
    }
    guard let shape = pieces.first?.shape, let total = elementCount(ofShape: shape) else {
      throw failure("has an impossible shape")
    }
    var end = 0
    for piece in pieces.sorted(by: { $0.offset < $1.offset }) {
      guard piece.shape == shape else { throw failure("has the shapes \(shape) and \(piece.shape)") }
      guard piece.offset == end else {
        throw failure(
          piece.offset < end ? "has float \(piece.offset) twice" : "lacks floats \(end)..<\(piece.offset)")
      }
      guard piece.count >= 0, piece.count <= total - end else { throw failure("has more floats than its shape") }
      end += piece.count
    }
    guard end == total else { throw failure("lacks floats \(end)..<\(total)") }
  }
}

/// `number` in decimal with leading zeros.
func zeroPadded(_ number: Int, _ width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
