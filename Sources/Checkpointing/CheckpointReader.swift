import Foundation

/// A complete checkpoint, opened for reading by any number of ranks.
///
/// Shards are mapped when first needed. Not `Sendable`: each thread opens its own.
public final class CheckpointReader {
  /// The checkpoint's directory.
  public let directory: String
  /// What the checkpoint says about itself.
  public let manifest: CheckpointManifest

  private struct Parameter: Hashable {
    let kind: String
    let key: String
  }
  /// The pieces of each parameter in order of offset, with the name of their shard.
  private let pieces: [Parameter: [(file: String, entry: PieceEntry)]]
  private var openFiles: [String: Safetensors] = [:]

  /// Opens a checkpoint and checks its manifest, and that every file is there at full length.
  ///
  /// The content of the shards is not read yet; see `verify`.
  /// - Throws: `CheckpointError` naming what is missing or wrong.
  public init(directory: String) throws(CheckpointError) {
    self.directory = directory
    manifest = try Self.readManifest(in: directory)
    for file in manifest.files {
      try Self.checkLength(of: file, in: directory)
    }
    var pieces: [Parameter: [(file: String, entry: PieceEntry)]] = [:]
    for file in manifest.files {
      for piece in file.pieces {
        pieces[Parameter(kind: file.kind, key: piece.key), default: []].append((file.name, piece))
      }
    }
    self.pieces = pieces.mapValues { $0.sorted { $0.entry.offset < $1.entry.offset } }
  }

  // MARK: Content

  /// The kinds present, sorted.
  public var kinds: [String] { Set(manifest.files.map(\.kind)).sorted() }

  /// The full shape of every parameter of a kind.
  public func shapes(ofKind kind: String) -> [String: [Int]] {
    var shapes: [String: [Int]] = [:]
    for (parameter, pieces) in pieces where parameter.kind == kind { shapes[parameter.key] = pieces[0].entry.shape }
    return shapes
  }

  /// Everything in which a kind differs from what a model expects: keys missing, unexpected, or of another shape.
  /// - Parameters:
  ///   - kind: The kind of its shards, such as `model`.
  ///   - expected: The model's parameters.
  public func mismatches(ofKind kind: String, expecting expected: [String: [Int]]) -> [CheckpointError] {
    let comparison = ParameterComparison(expected: expected, found: shapes(ofKind: kind))
    let reasons: [CheckpointError.Reason] =
      comparison.misshapen.map { .shapeMismatch(key: $0.key, expected: $0.expected, found: $0.found) }
      + comparison.missing.map { .missingParameter(kind: kind, key: $0) }
      + comparison.unexpected.map { .unexpectedParameter(kind: kind, key: $0) }
    return reasons.map { CheckpointError(path: directory, $0) }
  }

  /// Reads floats of a parameter, from however many shards they lie in.
  /// - Parameters:
  ///   - kind: Which values of the parameter: `model`, `ema`, and so on.
  ///   - key: The parameter's name.
  ///   - range: Which of its floats, row-major; all of them if nil.
  ///   - destination: Receives them.
  /// - Throws: `CheckpointError` if there is no such parameter or a shard is not what the manifest says.
  /// - Precondition: The range lies within the parameter and `destination` has as many elements.
  public func read(
    kind: String, key: String, range: Range<Int>? = nil, into destination: UnsafeMutableBufferPointer<Float>
  ) throws(CheckpointError) {
    guard let pieces = pieces[Parameter(kind: kind, key: key)], let last = pieces.last else {
      throw CheckpointError(path: directory, .missingParameter(kind: kind, key: key))
    }
    let total = last.entry.offset + last.entry.count
    let range = range ?? 0..<total
    guard range.lowerBound >= 0, range.upperBound <= total, destination.count == range.count else {
      fatalError("CheckpointReader: \(range) of '\(key)' (\(total) floats) into \(destination.count) floats")
    }
    for (name, piece) in pieces {
      let wanted = range.clamped(to: piece.offset..<piece.offset + piece.count)
      guard !wanted.isEmpty else { continue }
      let shard = try shard(name)
      guard let tensor = shard.description(of: piece.storedName), tensor.elementType == .float32,
        tensor.shape == piece.storedShape
      else {
        throw CheckpointError(path: shard.path, .missingTensor(name: piece.storedName))
      }
      try shard.withBytes(of: piece.storedName) { bytes in
        let source = bytes.region((wanted.lowerBound - piece.offset) * 4..<(wanted.upperBound - piece.offset) * 4)
        let target = destination[wanted.lowerBound - range.lowerBound..<wanted.upperBound - range.lowerBound]
        UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: target)).copyMemory(from: source)
      }
    }
  }

  /// All floats of a parameter, row-major.
  /// - Throws: `CheckpointError` if there is no such parameter or a shard is not what the manifest says.
  public func floats(kind: String, key: String) throws(CheckpointError) -> [Float] {
    guard let last = pieces[Parameter(kind: kind, key: key)]?.last else {
      throw CheckpointError(path: directory, .missingParameter(kind: kind, key: key))
    }
    var floats = [Float](repeating: 0, count: last.entry.offset + last.entry.count)
    let result = floats.withUnsafeMutableBufferPointer { buffer in
      Result { () throws(CheckpointError) in try read(kind: kind, key: key, into: buffer) }
    }
    try result.get()
    return floats
  }

  private func shard(_ name: String) throws(CheckpointError) -> Safetensors {
    if let open = openFiles[name] { return open }
    let shard = try Safetensors(path: "\(directory)/\(name)")
    openFiles[name] = shard
    return shard
  }

  // MARK: Integrity

  /// Checks the content of every file against its SHA-256.
  /// - Throws: The first of `problems()`.
  public func verify() throws(CheckpointError) {
    if let problem = problems().first { throw problem }
  }

  /// Every file that is missing, of another length, or changed.
  ///
  /// Reads every byte. Ranks share the work: with `share: rank, of: worldSize` each reads every worldSize-th file, and
  /// the checkpoint is good if no rank finds a problem.
  public func problems(share: Int = 0, of shareCount: Int = 1) -> [CheckpointError] {
    var problems: [CheckpointError] = []
    for (index, file) in manifest.files.enumerated() where index % shareCount == share {
      if let problem = Self.problem(of: file, in: directory) { problems.append(problem) }
    }
    return problems
  }

  /// Whether a directory holds a checkpoint whose manifest is good and whose files have their full length.
  static func isReadable(_ directory: String) -> Bool {
    do throws(CheckpointError) {
      _ = try CheckpointReader(directory: directory)
      return true
    } catch {
      return false
    }
  }

  static func readManifest(in directory: String) throws(CheckpointError) -> CheckpointManifest {
    for name in [CheckpointManifest.fileName, CheckpointManifest.hashFileName] {
      guard try FileSystem.byteCount(of: "\(directory)/\(name)") != nil else {
        throw CheckpointError(path: directory, .missingFile(name: name))
      }
    }
    let region = try ByteRegion(mapping: "\(directory)/\(CheckpointManifest.fileName)")
    let saved = try ByteRegion(mapping: "\(directory)/\(CheckpointManifest.hashFileName)")
    let expected = String(decoding: saved.bytes, as: UTF8.self)
    let found = sha256(of: region)
    guard expected == CheckpointManifest.hashFileText(found) else {
      throw CheckpointError(
        path: region.path,
        .hashMismatch(expected: expected.split(separator: " ").first.map(String.init) ?? "nothing", found: found))
    }
    return try CheckpointManifest.decoded(from: region)
  }

  static func checkLength(of file: FileEntry, in directory: String) throws(CheckpointError) {
    let path = "\(directory)/\(file.name)"
    guard let byteCount = try FileSystem.byteCount(of: path) else {
      throw CheckpointError(path: directory, .missingFile(name: file.name))
    }
    guard byteCount == file.byteCount else {
      throw CheckpointError(path: path, .byteCount(expected: file.byteCount, found: byteCount))
    }
  }
}
