import Synchronization

/// Images inside tar archives, read in place: a folder of class archives, or one archive of class archives as
/// `ILSVRC2012_img_train.tar` is downloaded.
///
/// The archives' headers are read once, when the data set is opened; an image then costs one positioned read.
public struct ArchivedImages: EncodedImageDataset {
  private let files: ArchiveFiles
  private var classes = ClassRanges()
  private var names = NameList()
  private var offsets: [Int] = []
  private var byteCounts: [Int] = []
  /// For each class (or the only group, without classes): its file, and what to call its archive.
  private var archives: [(file: Int, name: String)] = []

  /// The class archives `folder/CLASS.tar`.
  init(classArchives: [String], in folder: String) throws(DataError) {
    files = ArchiveFiles(paths: classArchives.map { folder + "/" + $0 })
    for (index, archive) in classArchives.enumerated() {
      let file = try files.open(index)
      let images = try file.tarMembers(in: 0..<file.byteCount, name: file.path).filter(\.isImage)
      if !images.isEmpty { append(images, className: className(ofArchive: archive), file: index, name: file.path) }
    }
  }

  /// An archive of class archives, or, where it holds images and no archives, of images without a class.
  init(archive path: String) throws(DataError) {
    files = ArchiveFiles(paths: [path])
    let file = try files.open(0)
    let members = try file.tarMembers(in: 0..<file.byteCount, name: path)
    var inner = members.filter { hasTarExtension($0.name) }
    inner.sort { precedes(className(ofArchive: $0.name), className(ofArchive: $1.name)) }
    for archive in inner {
      let name = "\(path)!\(archive.name)"
      let range = archive.offset..<(archive.offset + archive.byteCount)
      let images = try file.tarMembers(in: range, name: name).filter(\.isImage)
      if !images.isEmpty { append(images, className: className(ofArchive: archive.name), file: 0, name: name) }
    }
    if inner.isEmpty { append(members.filter(\.isImage), className: nil, file: 0, name: path) }
  }

  private mutating func append(_ images: [TarMember], className: String?, file: Int, name: String) {
    if let className { classes.beginClass(className, at: count) }
    archives.append((file, name))
    for image in images.sorted(by: { precedes($0.name, $1.name) }) {
      names.append(image.name)
      offsets.append(image.offset)
      byteCounts.append(image.byteCount)
    }
  }

  /// How many images there are.
  public var count: Int { offsets.count }
  /// Names of the class archives without `.tar`, sorted.
  public var classNames: [String] { classes.names }
  /// The rank of the class archive's name.
  public func label(of index: Int) -> Int32 { Int32(classes.label(of: index)) }
  /// `ARCHIVE!MEMBER`.
  public func name(of index: Int) -> String { archives[classes.label(of: index)].name + "!" + names[index] }

  /// Reads the member.
  public func bytes(at index: Int) throws(DataError) -> [UInt8] {
    let file = try files.open(archives[classes.label(of: index)].file)
    return try file.read(at: offsets[index], count: byteCounts[index], name: name(of: index))
  }
}

extension TarMember {
  /// Whether the name says image; the resource forks that macOS adds (`._x.JPEG`) are none.
  fileprivate var isImage: Bool {
    let last = name.split(separator: "/").last ?? ""
    return hasImageExtension(last) && !last.hasPrefix(".")
  }
}

/// `n01440764` for `train/n01440764.tar`.
private func className(ofArchive name: String) -> String {
  String((name.split(separator: "/").last ?? "").dropLast(".tar".count))
}

/// Archives by index, opened when first needed. Only so many stay open: processes may have 1024 files, often.
private final class ArchiveFiles: Sendable {
  private let paths: [String]
  private let kept: Mutex<[Int: OpenFile]> = Mutex([:])
  private static let keptLimit = 400

  init(paths: [String]) { self.paths = paths }

  func open(_ index: Int) throws(DataError) -> OpenFile {
    if let file = kept.withLock({ $0[index] }) { return file }
    let file = try OpenFile(paths[index])
    kept.withLock { if $0.count < Self.keptLimit { $0[index] = file } }
    return file
  }
}
