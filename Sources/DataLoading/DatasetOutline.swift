import Foundation

/// What a data set consists of, found by looking at names and at the outermost archive only.
///
/// Opening a data set takes three steps, so that many processes can share the work: one makes the outline, each lists
/// some of its parts (`members(ofPart:)`), and everyone makes the same data set of all lists (`DatasetIndex`).
public struct DatasetOutline: Codable, Sendable, Equatable {
  enum Layout: String, Codable {
    /// Drawn by the program: nothing to list.
    case drawn
    /// Files of their own without classes: nothing to list.
    case files
    case classFolders
    case classArchives
    /// One archive of images without classes, unless `labels` gives them.
    case imageArchive
    /// WebDataset archives, whose members carry their classes.
    case shards
  }

  /// An archive as it was when it was looked at.
  struct File: Codable, Sendable, Equatable {
    var path: String
    var byteCount: Int
    /// Time of the last change in nanoseconds.
    var modified: Int

    init(_ path: String) throws(DataError) {
      var status = stat()
      guard stat(path, &status) == 0 else {
        throw DataError(path: path, reason: errno == ENOENT ? .missing : .unreadable(detail: systemReason()))
      }
      self.path = path
      byteCount = Int(status.st_size)
      modified = Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
    }
  }

  /// What was asked for.
  public var description: String
  var layout: Layout
  var root = ""
  var files: [File] = []
  var parts: [DatasetPart] = []
  /// Of the layout `files`.
  var paths: [String] = []
  /// Of an archive of images: classes that are written elsewhere.
  var labels: ImageLabels?
  /// Where `labels` were read.
  var labelFile: File?
  /// Of shards with an index: names of the classes by number, and how many samples each shard has.
  public internal(set) var shardIndex: ShardIndex?

  /// How many parts there are to list.
  public var partCount: Int { parts.count }

  /// Looks at what stands under `description`; see `openDataset(_:labels:)`.
  /// - Throws: `DataError` when the path is missing, cannot be read or holds no images; it says what was looked for.
  public init(_ description: String, labels: String? = nil) throws(DataError) {
    let path = withoutTrailingSlashes(description)
    self.init(description: description, layout: .drawn)
    if DrawnImages.isDescription(description) {
      try refuse(labels: labels)
    } else if let shards = try ShardIndex(description: path) {
      try refuse(labels: labels)
      try takeShards(shards)
    } else {
      switch try FileKind(at: path) {
      case .folder:
        try refuse(labels: labels)
        try takeFolder(path)
      case .file where hasTarExtension(path): try takeArchive(path, labels: labels)
      case .file where hasImageExtension(path): (layout, paths) = (.files, [path])
      case .file, .other:
        throw DataError(
          path: path,
          reason: .noImages(detail: "expected a folder, a .tar archive, a shard list, a JPEG or a PNG"))
      }
    }
  }

  private init(description: String, layout: Layout) {
    self.description = description
    self.layout = layout
  }

  private func refuse(labels: String?) throws(DataError) {
    guard let labels else { return }
    throw DataError(
      path: labels,
      reason: .badLabels(detail: "labels are for one archive of images; '\(description)' brings its own classes"))
  }

  private mutating func takeFolder(_ path: String) throws(DataError) {
    let listing = try FolderListing(of: path)
    root = path + "/"
    for folder in listing.folders where try !ClassFolder(named: folder, in: path).images.isEmpty {
      layout = .classFolders
      parts = listing.folders.map { DatasetPart(name: $0, className: $0) }
      return
    }
    let archives = listing.files.filter(hasTarExtension)
    if let first = archives.first {
      if try OpenFile(path + "/" + first).holdsSamples(name: first) {
        return try takeShards(shards(archives, indices: listing.files.filter { $0.hasSuffix(".json") }, in: path))
      }
      layout = .classArchives
      for archive in archives.sorted(by: { precedes(String($0.dropLast(4)), String($1.dropLast(4))) }) {
        try addPart(wholeFile: path + "/" + archive, className: className(ofArchive: archive))
      }
      return
    }
    let images = listing.files.filter(hasImageExtension)
    guard !images.isEmpty else {
      throw DataError(path: path, reason: .noImages(detail: try lookedFor(in: path, listing)))
    }
    (layout, paths) = (.files, images.map { path + "/" + $0 })
  }

  private mutating func takeArchive(_ path: String, labels: String?) throws(DataError) {
    let file = try OpenFile(path)
    if try file.holdsSamples(name: path) {
      try refuse(labels: labels)
      return try takeShards(ShardIndex(paths: [path]))
    }
    var inner = try file.tarMembers(in: 0..<file.byteCount, name: path).filter {
      hasTarExtension($0.name) && !$0.isLink
    }
    guard !inner.isEmpty else {
      layout = .imageArchive
      try addPart(wholeFile: path, className: nil)
      if let place = labels ?? ImageLabels.place(beside: path) {
        self.labels = try ImageLabels(at: place)
        labelFile = try File(place)
      }
      return
    }
    try refuse(labels: labels)
    layout = .classArchives
    inner.sort { precedes(className(ofArchive: $0.name), className(ofArchive: $1.name)) }
    files = [try File(path)]
    parts = inner.map {
      DatasetPart(
        offset: $0.offset, byteCount: $0.byteCount, name: "\(path)!\($0.name)", className: className(ofArchive: $0.name)
      )
    }
  }

  /// The shards of a folder, by their index where there is one.
  private func shards(_ archives: [String], indices: [String], in path: String) throws(DataError) -> ShardIndex {
    guard let index = indices.first else { return ShardIndex(paths: archives.map { path + "/" + $0 }) }
    guard indices.count == 1 else {
      throw DataError(
        path: path, reason: .badDescription(detail: "it has several .json files; name the index of the shards you mean")
      )
    }
    return try ShardIndex(json: readFile(path + "/" + index), path: path + "/" + index)
  }

  private mutating func takeShards(_ index: ShardIndex) throws(DataError) {
    layout = .shards
    shardIndex = index
    for shard in index.shards {
      try addPart(wholeFile: shard.path, className: nil)
      if let expected = shard.byteCount, let found = files.last?.byteCount, found != expected {
        throw DataError(
          path: shard.path,
          reason: .unreadable(detail: "it has \(found) bytes, but its index says \(expected); copy or pack it again"))
      }
    }
  }

  private mutating func addPart(wholeFile path: String, className: String?) throws(DataError) {
    let file = try File(path)
    parts.append(DatasetPart(file: files.count, byteCount: file.byteCount, name: path, className: className))
    files.append(file)
  }

  /// As bytes, to be sent.
  public func encoded() throws(DataError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return [UInt8](try encoder.encode(self))
    } catch {
      throw DataError(path: description, reason: .unreadable(detail: "its outline cannot be encoded: \(error)"))
    }
  }

  /// Takes what `encoded` gave.
  public init(encoded bytes: [UInt8], name: String) throws(DataError) {
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(bytes))
    } catch {
      throw DataError(path: name, reason: .unreadable(detail: "no outline of a data set: \(error)"))
    }
  }

  /// Whether everything that was looked at is still there and as it was.
  func isCurrent() throws(DataError) -> Bool {
    for file in files + (labelFile.map { [$0] } ?? []) where try File(file.path) != file { return false }
    let path = withoutTrailingSlashes(description)
    if let shards = try ShardIndex(description: path) { return shards == shardIndex }
    guard try FileKind(at: path) == .folder else { return true }
    let listing = try FolderListing(of: path)
    if layout == .shards {
      let archives = listing.files.filter(hasTarExtension)
      return try shards(archives, indices: listing.files.filter { $0.hasSuffix(".json") }, in: path) == shardIndex
    }
    return Set(listing.files.filter(hasTarExtension).map { path + "/" + $0 }) == Set(files.map(\.path))
  }

  /// The images of one part.
  /// - Throws: `DataError` when it cannot be read.
  func members(ofPart index: Int) throws(DataError) -> PartMembers {
    let part = parts[index]
    switch layout {
    case .drawn, .files: return PartMembers()
    case .classFolders:
      var members = PartMembers()
      for image in try ClassFolder(named: part.name, in: String(root.dropLast())).images { members.names.append(image) }
      return members
    case .classArchives, .imageArchive:
      return try OpenFile(files[part.file].path).imageMembers(of: part)
    case .shards:
      let members = try OpenFile(files[part.file].path).sampleMembers(of: part)
      if let expected = shardIndex?.shards[index].sampleCount, expected != members.names.count {
        throw DataError(
          path: part.name,
          reason: .unreadable(
            detail: "it has \(members.names.count) usable samples, but its index says \(expected); pack it again"))
      }
      return members
    }
  }

  /// The images of one part, in a form that `DatasetIndex` takes.
  public func encodedMembers(ofPart index: Int) throws(DataError) -> [UInt8] { try members(ofPart: index).encoded }

  /// What to say when nothing was found in it.
  var emptyError: DataError {
    let detail =
      switch layout {
      case .classArchives where !root.isEmpty: "its \(files.count) .tar archives hold none"
      case .shards: "its \(files.count) shards hold no samples (KEY.jpg, KEY.jpeg or KEY.png)"
      default: "looked for class archives (CLASS.tar), images and samples inside"
      }
    return DataError(path: description, reason: .noImages(detail: detail))
  }
}

/// The images of `root/CLASS/`, as paths below the root.
struct ClassFolder {
  let images: [String]

  init(named folder: String, in root: String) throws(DataError) {
    var place = folder
    var listing = try FolderListing(of: root + "/" + place)
    // Tiny ImageNet as published: `CLASS/images/*.JPEG`. A folder of several folders is not taken for a class: it may be
    // `train` beside `val`.
    if let only = listing.folders.first, listing.folders.count == 1, !listing.files.contains(where: hasImageExtension) {
      place += "/" + only
      listing = try FolderListing(of: root + "/" + place)
    }
    images = listing.files.filter(hasImageExtension).map { place + "/" + $0 }
  }
}

/// Says what would have been recognised, and points to a folder below that would do.
private func lookedFor(in path: String, _ listing: FolderListing) throws(DataError) -> String {
  var detail = "looked for class folders (CLASS/*.jpeg, .jpg, .png), class archives (CLASS.tar), shards and images"
  if listing.files.isEmpty && listing.folders.isEmpty { detail += "; the folder is empty" }
  for folder in listing.folders {
    let below = path + "/" + folder
    let inner = try FolderListing(of: below)
    if inner.files.contains(where: hasTarExtension) { return detail + "; did you mean \(below)?" }
    for name in inner.folders where try !ClassFolder(named: name, in: below).images.isEmpty {
      return detail + "; did you mean \(below)?"
    }
  }
  return detail
}

/// `n01440764` for `train/n01440764.tar`.
func className(ofArchive name: String) -> String {
  String((name.split(separator: "/").last ?? "").dropLast(".tar".count))
}

private func withoutTrailingSlashes(_ path: String) -> String {
  var path = path[...]
  while path.count > 1, path.last == "/" { path.removeLast() }
  return String(path)
}
