import Foundation

/// Floats of one parameter to be saved. The memory stays the caller's and must not change until it is written.
public struct ParameterPiece {
  /// Which floats these are.
  public let entry: PieceEntry
  /// The floats themselves; `entry.count` of them.
  public let values: UnsafeBufferPointer<Float>

  /// Floats `offset..<offset + values.count` of the parameter `key` of the given full shape.
  public init(key: String, shape: [Int], offset: Int = 0, values: UnsafeBufferPointer<Float>) {
    entry = PieceEntry(key: key, shape: shape, offset: offset, count: values.count)
    self.values = values
  }
}

/// Saves one checkpoint, by one rank or by many.
///
/// The order is what makes it safe: `prepare` on one rank; `writeShard` on every rank, each file flushed to the disk;
/// then, when all ranks report success, `commit` on one rank: manifest, flush, rename, `latest`; then `prune`. Until
/// the rename nothing under a final name has changed, so a kill at any moment leaves the previous checkpoint in place.
/// If any rank fails, one rank calls `abandon`. The ranks' agreement is the caller's business; nothing here
/// communicates.
public struct CheckpointWriter: Sendable {
  /// Moments at which a write can be interrupted.
  public enum Stage: Sendable, Equatable {
    /// The partial directory exists and is empty.
    case prepared
    /// At least half of the bytes of this shard are written.
    case shardHalfWritten(String)
    /// This shard is complete and flushed.
    case shardWritten(String)
    /// All shards are complete, the manifest is not yet there.
    case beforeManifest
    /// The manifest is flushed, the directory still has its partial name.
    case beforeRename
    /// The checkpoint is complete, `latest` still names the one before.
    case beforeLatest
    /// This old checkpoint is about to be removed.
    case beforePrune(String)
    /// This old checkpoint has lost its final name, its files are still there.
    case pruning(String)
  }

  /// The run's checkpoints.
  public let folder: CheckpointFolder
  /// The number of optimizer steps taken.
  public let step: Int
  /// Called at every stage, on the thread that writes; for tests that interrupt a write there.
  public var stageObserver: (@Sendable (Stage) -> Void)?

  /// The directory that the checkpoint will have when it is complete.
  public var directory: String { folder.directory(ofStep: step) }

  /// The most memory that writing a file takes, in bytes.
  public static var bufferByteCount: Int { 2 * UncachedFile.blockByteCount }
  /// The directory in which it is written.
  var partialDirectory: String { directory + CheckpointFolder.partialSuffix }

  /// A writer of the checkpoint of `step` of the run in `runDirectory`. Nothing is created yet.
  public init(runDirectory: String, step: Int, stageObserver: (@Sendable (Stage) -> Void)? = nil) {
    folder = CheckpointFolder(runDirectory: runDirectory)
    self.step = step
    self.stageObserver = stageObserver
  }

  /// Creates the empty partial directory. On one rank; the others wait for it.
  /// - Throws: `CheckpointError` if it cannot be created.
  public func prepare() throws(CheckpointError) {
    try FileSystem.remove(partialDirectory)
    try FileSystem.createDirectory(partialDirectory)
    stageObserver?(.prepared)
  }

  /// Writes shard `index` of `count` of one kind and flushes it to the disk. Empty pieces are fine.
  /// - Parameters:
  ///   - kind: Lower-case letters and hyphens, such as `model`.
  ///   - index: Which of the kind's shards this is; normally the rank.
  ///   - count: How many shards the kind has; normally the world size.
  ///   - pieces: This shard's floats, in any order.
  /// - Returns: What the manifest must say about the file.
  /// - Throws: `CheckpointError`, and then the file is gone.
  public func writeShard(
    kind: String, index: Int, of count: Int, pieces: [ParameterPiece]
  ) throws(CheckpointError) -> FileEntry {
    try CheckpointManifest.checkKind(kind, path: partialDirectory)
    let name = FileEntry.name(kind: kind, index: index, count: count)
    let path = "\(partialDirectory)/\(name)"
    // An empty part of a parameter says nothing; an empty whole parameter does.
    let pieces = pieces.filter { !$0.values.isEmpty || $0.entry.isWhole }
    var tensors: [TensorDescription] = []
    var pieceByName: [String: ParameterPiece] = [:]
    for piece in pieces {
      guard !piece.entry.key.contains("@") else {
        throw CheckpointError(
          path: path, .invalidName(name: piece.entry.key, rule: "'@' separates a parameter's key from an offset"))
      }
      let name = piece.entry.storedName
      guard let tensor = TensorDescription(name: name, elementType: .float32, shape: piece.entry.storedShape) else {
        throw CheckpointError(
          path: path, .coverage(kind: kind, key: piece.entry.key, detail: "has an impossible shape"))
      }
      tensors.append(tensor)
      pieceByName[name] = piece
    }
    let writer = try SafetensorsWriter(
      path: path, tensors: tensors, metadata: ["format": "pt", "kind": kind, "step": String(step)])
    let total = tensors.reduce(0) { $0 + $1.byteCount }
    var written = 0
    for tensor in writer.tensors {
      guard let piece = pieceByName[tensor.name] else { continue }
      try writer.write(piece.values)
      if written < (total + 1) / 2, written + tensor.byteCount >= (total + 1) / 2 {
        stageObserver?(.shardHalfWritten(name))
      }
      written += tensor.byteCount
    }
    let file = try writer.finish()
    stageObserver?(.shardWritten(name))
    return FileEntry(
      name: name, kind: kind, byteCount: file.byteCount, sha256: file.sha256,
      pieces: writer.tensors.compactMap { pieceByName[$0.name]?.entry })
  }

  /// Makes the checkpoint complete: manifest, flush, rename, `latest`. On one rank, when every rank's shards are
  /// written.
  /// - Parameter manifest: With the file entries of all ranks, in any order.
  /// - Throws: `CheckpointError` if the pieces do not cover every parameter exactly once or the disk fails; the
  ///   partial directory is removed then.
  public func commit(_ manifest: CheckpointManifest) throws(CheckpointError) {
    do throws(CheckpointError) {
      try writeManifest(manifest)
      stageObserver?(.beforeRename)
      try moveIntoPlace()
    } catch {
      abandonKeepingError()
      throw error
    }
    stageObserver?(.beforeLatest)
    let name = String(directory.dropFirst(folder.path.count + 1))
    try FileSystem.replaceFile("\(folder.path)/\(CheckpointFolder.latestName)", with: name + "\n")
    try FileSystem.synchronizeDirectory(folder.path)
  }

  /// Removes the partial directory after a failure. On one rank, when no rank is writing into it any more.
  /// - Throws: `CheckpointError` if it cannot be removed.
  public func abandon() throws(CheckpointError) {
    try FileSystem.remove(partialDirectory)
  }

  /// Saves a whole checkpoint by this rank alone.
  /// - Parameters:
  ///   - shards: The pieces of each kind.
  ///   - manifest: Its `files` are filled in here.
  /// - Throws: `CheckpointError`; the partial directory is removed then and older checkpoints are untouched.
  public func save(
    _ shards: [(kind: String, pieces: [ParameterPiece])], manifest: CheckpointManifest
  ) throws(CheckpointError) {
    var manifest = manifest
    do throws(CheckpointError) {
      try prepare()
      manifest.files = []
      for shard in shards {
        manifest.files.append(try writeShard(kind: shard.kind, index: 0, of: 1, pieces: shard.pieces))
      }
    } catch {
      abandonKeepingError()
      throw error
    }
    try commit(manifest)
  }

  private func writeManifest(_ manifest: CheckpointManifest) throws(CheckpointError) {
    guard manifest.step == step else {
      fatalError("CheckpointWriter: the manifest is of step \(manifest.step), the writer of step \(step)")
    }
    var manifest = manifest
    manifest.files.sort { $0.name < $1.name }
    let path = "\(partialDirectory)/\(CheckpointManifest.fileName)"
    try manifest.validate(path: path)
    stageObserver?(.beforeManifest)
    let text = try manifest.encoded(path: path)
    let file = try HashingFile(creating: path)
    try file.write(text)
    let hash = try file.finish().sha256
    let hashText = CheckpointManifest.hashFileText(hash)
    let hashFile = try HashingFile(creating: "\(partialDirectory)/\(CheckpointManifest.hashFileName)")
    try hashFile.write(hashText)
    _ = try hashFile.finish()
    try FileSystem.synchronizeDirectory(partialDirectory)
  }

  /// Gives the partial directory its final name.
  private func moveIntoPlace() throws(CheckpointError) {
    // The same step once more, for example after falling back past a damaged checkpoint: the old one steps aside and
    // comes back in `removeLeftovers` should we be killed between the two renames.
    let replaced = directory + CheckpointFolder.replacedSuffix
    // The name of the folder of all checkpoints must survive a power failure, too.
    try FileSystem.synchronizeDirectory(folder.runDirectory)
    try FileSystem.remove(replaced)
    if FileSystem.isDirectory(directory) { try FileSystem.rename(directory, to: replaced) }
    try FileSystem.rename(partialDirectory, to: directory)
    try FileSystem.synchronizeDirectory(folder.path)
    try FileSystem.remove(replaced)
    try FileSystem.synchronizeDirectory(folder.path)
  }

  /// Clears up after an error that the caller will see; a second failure here would only hide the first.
  private func abandonKeepingError() {
    do { try abandon() } catch { _ = error }
  }
}
