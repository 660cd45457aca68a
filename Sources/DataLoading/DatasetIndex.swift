import Foundation

/// All that was listed of a data set: an outline and the images of its parts. Stored, so that a later start need not
/// list anything, and sent from process to process.
public struct DatasetIndex: Sendable {
  /// `header`, the outline as JSON, the parts' lists one after the other, a checksum.
  public let bytes: [UInt8]
  private let outline: DatasetOutline
  private let listsOffset: Int

  private static let header = Array("mergevq image index 1\n".utf8)

  /// Puts the lists of all parts, as `DatasetOutline.encodedMembers` gives them, together.
  /// - Precondition: There is one list for each part.
  public init(_ outline: DatasetOutline, lists: [[UInt8]]) throws(DataError) {
    require(lists.count == outline.partCount, "DatasetIndex: \(lists.count) lists for \(outline.partCount) parts")
    var writer = ByteWriter()
    writer.append(try outline.encoded())
    var bytes = Self.header + writer.bytes
    listsOffset = bytes.count
    bytes.reserveCapacity(bytes.count + lists.reduce(0) { $0 + $1.count } + 8)
    for list in lists { bytes += list }
    withUnsafeBytes(of: checksum(of: bytes[...]).littleEndian) { bytes.append(contentsOf: $0) }
    self.bytes = bytes
    self.outline = outline
  }

  /// Takes what another process made.
  /// - Throws: `DataError` about `name` when the bytes are no whole index.
  public init(bytes: [UInt8], name: String) throws(DataError) {
    let damage = DataError(path: name, reason: .unreadable(detail: "no index of images, or a damaged one"))
    guard bytes.count >= Self.header.count + 16, bytes.starts(with: Self.header) else { throw damage }
    let sum = bytes.suffix(8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard checksum(of: bytes.dropLast(8)) == sum else { throw damage }
    var reader = ByteReader(bytes[Self.header.count..<(bytes.count - 8)])
    do {
      let json = try reader.byteArray()
      outline = try DatasetOutline(encoded: json, name: name)
      listsOffset = Self.header.count + 8 + json.count
    } catch {
      throw damage
    }
    self.bytes = bytes
  }

  /// The data set. Nothing is read but what is here.
  /// - Throws: `DataError` when the lists are damaged, hold no image, or do not fit the labels.
  public func dataset() throws(DataError) -> any ImageDataset {
    switch outline.layout {
    case .drawn: return try DrawnImages(description: outline.description)
    case .files: return ImageFiles(paths: outline.paths)
    case .classFolders:
      var files = ImageFiles(root: outline.root)
      try forEachPart { part, members in files.append(members.names, className: part.className) }
      return files
    case .classArchives, .imageArchive, .shards:
      var images = ArchivedImages(files: outline.files)
      try forEachPart { part, members in images.append(members, part: part) }
      if images.count == 0 { throw outline.emptyError }
      try images.settleClasses(labels: outline.labels, names: outline.shardIndex?.classNames, of: outline.description)
      if outline.layout == .shards { images.isSharded = true }
      return images
    }
  }

  /// One part after the other, so that only one list is unpacked at a time.
  private func forEachPart(_ body: (DatasetPart, PartMembers) -> Void) throws(DataError) {
    var reader = ByteReader(bytes[listsOffset..<(bytes.count - 8)])
    for part in outline.parts {
      do throws(ByteReader.Damage) {
        body(part, try PartMembers(from: &reader))
      } catch {
        throw DataError(path: part.name, reason: .unreadable(detail: "its list of images is damaged"))
      }
    }
  }

  // MARK: Storing

  /// Finds the index that an earlier start stored, if it still describes the same files.
  /// - Parameters:
  ///   - description: The data set's path, as given to `openDataset`.
  ///   - labels: As given to `DatasetOutline`.
  ///   - folder: Where indices are kept that could not be stored beside their archives.
  /// - Returns: `nil` where there is none, or the archives changed.
  public static func stored(for description: String, labels: String?, folder: String?) -> DatasetIndex? {
    for place in places(for: description, labels: labels, folder: folder) {
      do throws(DataError) {
        let index = try DatasetIndex(bytes: readFile(place), name: place)
        if index.outline.description == description, try index.outline.isCurrent() { return index }
      } catch {
        // Missing, damaged, or of archives that are gone: it is made anew, and the archives then say what is wrong.
        continue
      }
    }
    return nil
  }

  /// Whether listing was more than looking at folders, so that storing it pays.
  public var isWorthStoring: Bool { !outline.files.isEmpty }

  /// Stores the index beside its archives, or in `folder` where that is not allowed; a reader sees all of it or none.
  /// - Returns: Where, or `nil` if neither place can be written: then the next start lists everything again.
  @discardableResult
  public func store(labels: String?, folder: String?) -> String? {
    for place in Self.places(for: outline.description, labels: labels, folder: folder) {
      let temporary = "\(place).\(getpid()).partial"
      do throws(DataError) {
        try writeFile(bytes, to: temporary)
        if rename(temporary, place) == 0 { return place }
      } catch {
        // Read-only or full: the next place is tried.
      }
      unlink(temporary)
    }
    return nil
  }

  /// `.mergevq-index-HASH` beside the archives, then in `folder`.
  private static func places(for description: String, labels: String?, folder: String?) -> [String] {
    var path = description.components(separatedBy: "::")[0]
    // Below the first wildcard there may be several folders.
    if let wildcard = path.firstIndex(where: { "{*?[".contains($0) }) { path = String(path[..<wildcard]) }
    var status = stat()
    let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    let beside = isFolder ? path : path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let labels = labels ?? (hasTarExtension(path) ? ImageLabels.place(beside: path) : nil) ?? ""
    let name = "/.mergevq-index-" + String(checksum(of: Array("\(description)\n\(labels)".utf8)[...]), radix: 16)
    return [beside.isEmpty ? name : beside + name] + (folder.map { [$0 + name] } ?? [])
  }
}
