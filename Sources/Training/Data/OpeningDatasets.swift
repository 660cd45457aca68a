public import Collectives
public import DataLoading

/// Opens a data set on all ranks. Collective.
///
/// Rank 0 looks for an index that an earlier start stored. Where there is none, the ranks list the parts (class folders,
/// class archives, shards) side by side, and rank 0 stores what they found: beside the archives, or in the run directory
/// where that is read-only. Either way only one rank looks at folders, and each part is listed once.
/// - Parameters:
///   - description: The path, or another form that `DataLoading.openDataset` takes.
///   - labels: For one archive of images: where their classes are written; see `ImageLabels`.
///   - runDirectory: Keeps indices that cannot be stored beside their archives.
///   - usesStoredIndex: Whether an index of an earlier start will do.
///   - communicator: The ranks that share the work.
/// - Throws: `PeerFailure` with what is wrong with the data.
public func openDataset(
  _ description: String, labels: String? = nil, runDirectory: String? = nil, usesStoredIndex: Bool = true,
  communicator: any Communicator
) throws -> any ImageDataset {
  let activity = "opening the data"
  let stored = try communicator.broadcast(
    communicator.isFirst && usesStoredIndex
      ? DatasetIndex.stored(for: description, labels: labels, folder: runDirectory)?.bytes ?? [] : [])
  if !stored.isEmpty {
    return try communicator.collectively(activity) {
      try DatasetIndex(bytes: stored, name: description).dataset()
    }
  }
  let found = try communicator.collectively(activity) {
    communicator.isFirst ? try DatasetOutline(description, labels: labels).encoded() : []
  }
  let bytes = try communicator.broadcast(found)
  let (outline, lists) = try communicator.collectively("listing the images of \(description)") {
    let outline = try DatasetOutline(encoded: bytes, name: description)
    let own = stride(from: communicator.rank, to: outline.partCount, by: communicator.worldSize)
    return (outline, try own.map { try outline.encodedMembers(ofPart: $0) })
  }
  let all = try communicator.allGather(bytes: joined(lists))
  return try communicator.collectively(activity) {
    let listsOfRanks = all.map(split)
    let index = try DatasetIndex(
      outline,
      lists: (0..<outline.partCount).map { listsOfRanks[$0 % communicator.worldSize][$0 / communicator.worldSize] })
    if communicator.isFirst, index.isWorthStoring { try store(index, labels: labels, runDirectory: runDirectory) }
    return try index.dataset()
  }
}

/// Stores an index so that the next start is quick; where nothing can be written, that one lists everything again.
private func store(_ index: DatasetIndex, labels: String?, runDirectory: String?) throws {
  if index.store(labels: labels, folder: nil) != nil { return }
  guard let runDirectory else { return }
  try RunDirectory(path: runDirectory).create()
  index.store(labels: labels, folder: runDirectory)
}

/// Opens a data set that a recipe names. Collective.
/// - Parameters:
///   - key: Where the recipe names it.
///   - labels: As above.
///   - classNames: The training images' classes, for validation images that must have the same ones.
/// - Throws: `PeerFailure`; `ConfigError` if some rank would have nothing of it, or if it has classes of its own.
func openDataset(
  _ path: String, key: String, labels: String? = nil, classNames: [String] = [], runDirectory: String? = nil,
  communicator: any Communicator
) throws -> any ImageDataset {
  let dataset = try openDataset(path, labels: labels, runDirectory: runDirectory, communicator: communicator)
  guard dataset.count >= communicator.worldSize else {
    throw ConfigError(
      key: key, problem: "has \(dataset.count) images for \(communicator.worldSize) ranks; use fewer ranks")
  }
  guard !classNames.isEmpty, !dataset.classNames.isEmpty, dataset.classNames != classNames else { return dataset }
  guard let relabelled = RelabelledImages(dataset, classNames: classNames) else {
    let unknown = dataset.classNames.first { !classNames.contains($0) } ?? ""
    throw ConfigError(
      key: key, problem: "has the class '\(unknown)', which the training images lack; name images of the same classes")
  }
  return relabelled
}

/// The training images of a recipe, from copies on each node's own disk if it says so. Collective.
/// - Throws: `PeerFailure` when a rank cannot write to its node's folder.
func staged(
  _ dataset: any ImageDataset, by data: DataConfig, communicator: any Communicator
) throws -> (dataset: any ImageDataset, stage: ShardStage?) {
  guard let folder = data.stageDirectory, let images = dataset as? ArchivedImages else { return (dataset, nil) }
  let stage = try communicator.collectively("opening 'data.stageDirectory'") {
    try ShardStage(folder: folder, byteLimit: Int(data.stageGigabytes * 1e9))
  }
  return (images.staged(by: stage), stage)
}

/// Several pieces of bytes as one: lengths in front.
private func joined(_ pieces: [[UInt8]]) -> [UInt8] {
  pieces.reduce(into: []) { bytes, piece in
    withUnsafeBytes(of: UInt64(piece.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: piece)
  }
}

private func split(_ bytes: [UInt8]) -> [[UInt8]] {
  var pieces: [[UInt8]] = []
  var rest = bytes[...]
  while rest.count >= 8 {
    let count = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    pieces.append(Array(rest.dropFirst(8).prefix(count)))
    rest = rest.dropFirst(8 + count)
  }
  return pieces
}
