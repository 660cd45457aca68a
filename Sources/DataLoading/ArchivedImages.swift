import Foundation
import Synchronization

/// Images inside tar archives, read in place: class archives, ImageNet's archive of class archives as it is downloaded,
/// its validation archive, or WebDataset shards.
///
/// An image costs one positioned read; archives are not mapped, since storage that fails would then end the process with
/// a signal instead of an error. For a million images this takes about 45 MB.
public struct ArchivedImages: EncodedImageDataset {
  private var files: ArchiveFiles
  /// Where the images of each archive begin, under the archives' names.
  private var parts = ClassRanges()
  private var partFiles: [Int] = []
  private var partClasses: [Int32] = []
  private var names = NameList()
  private var offsets: [Int] = []
  private var byteCounts: [UInt32] = []
  /// Where images have classes of their own: numbers of `classTexts`, later of `classNames`.
  private var ownClasses: [Int32] = []
  private var classTexts: [String] = []
  private var classTextNumbers: [String: Int32] = [:]
  /// Sorted names of the class archives without `.tar`; of shards, what their index or their samples say.
  public private(set) var classNames: [String] = []
  /// Members that look like images and are not used.
  public private(set) var leftOut: [LeftOutMember] = []
  /// Whether the order of images should follow the archives.
  var isSharded = false

  init(files: [DatasetOutline.File]) { self.files = ArchiveFiles(files) }

  /// Adds the images of one archive; one without images is no class.
  mutating func append(_ members: PartMembers, part: DatasetPart) {
    leftOut += members.leftOut
    guard members.names.count > 0 else { return }
    parts.beginClass(part.name, at: count)
    partFiles.append(part.file)
    if let className = part.className {
      partClasses.append(Int32(classNames.count))
      classNames.append(className)
    }
    names.append(contentsOf: members.names)
    offsets += members.offsets
    byteCounts += members.byteCounts.map { UInt32(clamping: $0) }
    for text in members.classTexts {
      let number = classTextNumbers[text] ?? Int32(classTexts.count)
      if Int(number) == classTexts.count {
        classTexts.append(text)
        classTextNumbers[text] = number
      }
      ownClasses.append(number)
    }
  }

  /// Gives numbers to the classes that images state themselves, once all are there.
  /// - Parameters:
  ///   - labels: Classes that are written elsewhere, for images in the order of their names.
  ///   - names: Names of numbered classes.
  /// - Throws: `DataError` when there are not as many labels as images, or a class has no name.
  mutating func settleClasses(labels: ImageLabels?, names: [String]?, of description: String) throws(DataError) {
    if let labels {
      guard labels.labels.count == count else {
        throw DataError(
          path: description, reason: .badLabels(detail: "\(labels.labels.count) labels for \(count) images"))
      }
      (ownClasses, classNames) = (labels.labels, labels.classNames)
    } else if !ownClasses.isEmpty, classTexts != [""] {
      if let index = ownClasses.firstIndex(where: { classTexts[Int($0)].isEmpty }) {
        throw DataError(
          path: name(of: index), reason: .badLabels(detail: "this sample states no class, and others do"))
      }
      let numbers = classTexts.compactMap { Int($0) }
      if numbers.count == classTexts.count {
        let count = max(names?.count ?? 0, (numbers.max() ?? 0) + 1)
        if let names, count > names.count {
          throw DataError(
            path: description,
            reason: .badLabels(detail: "a sample has class \(count - 1), and the index names \(names.count) classes"))
        }
        classNames = names ?? (0..<count).map(String.init)
        ownClasses = ownClasses.map { Int32(numbers[Int($0)]) }
      } else {
        classNames = names ?? classTexts.sorted(by: precedes)
        let ranks = Dictionary(classNames.enumerated().map { ($1, Int32($0)) }) { first, _ in first }
        if let unknown = classTexts.first(where: { ranks[$0] == nil }) {
          throw DataError(
            path: description, reason: .badLabels(detail: "a sample has class '\(unknown)', which the index lacks"))
        }
        ownClasses = ownClasses.map { ranks[classTexts[Int($0)]] ?? 0 }
      }
    } else {
      ownClasses = []
    }
    (classTexts, classTextNumbers) = ([], [:])
  }

  /// The same images, read from copies on the node's own disk as soon as these are there.
  public func staged(by stage: ShardStage) -> ArchivedImages {
    var images = self
    images.files = ArchiveFiles(files, stage: stage)
    return images
  }

  /// How many images there are.
  public var count: Int { offsets.count }

  /// The rank of the name of its class.
  public func label(of index: Int) -> Int32 {
    if !ownClasses.isEmpty { return ownClasses[index] }
    return partClasses.isEmpty ? 0 : partClasses[parts.label(of: index)]
  }

  /// `ARCHIVE!MEMBER`.
  public func name(of index: Int) -> String { parts.names[parts.label(of: index)] + "!" + names[index] }

  /// The length of the member.
  public func byteCount(at index: Int) -> Int { Int(byteCounts[index]) }

  /// How many images each shard has, where the order should follow shards; empty otherwise.
  public var shardCounts: [Int] { isSharded ? parts.counts(total: count) : [] }

  /// Reads the member.
  public func bytes(at index: Int) throws(DataError) -> [UInt8] {
    let file = try files.open(partFiles[parts.label(of: index)])
    return try file.read(at: offsets[index], count: Int(byteCounts[index]), name: name(of: index))
  }
}

/// Archives by index, opened when first needed. Only so many stay open: processes may have 1024 files, often.
private final class ArchiveFiles: Sendable {
  private struct Kept {
    let file: OpenFile
    /// Whether no better file will come.
    let isFinal: Bool
  }

  private let files: [DatasetOutline.File]
  private let stage: ShardStage?
  private let kept: Mutex<[Int: Kept]> = Mutex([:])
  private static let keptLimit = 400

  init(_ files: [DatasetOutline.File]) {
    self.files = files
    stage = nil
  }

  init(_ other: ArchiveFiles, stage: ShardStage) {
    files = other.files
    self.stage = stage
  }

  /// - Throws: `DataError` if it is not the file that was listed.
  func open(_ index: Int) throws(DataError) -> OpenFile {
    let present = kept.withLock { $0[index] }
    if let present, present.isFinal { return present.file }
    if let file = openCopy(index) {
      keep(Kept(file: file, isFinal: true), index)
      return file
    }
    if let present { return present.file }
    let file = try OpenFile(files[index].path)
    guard file.byteCount == files[index].byteCount else {
      throw DataError(
        path: file.path,
        reason: .unreadable(
          detail: "it has \(file.byteCount) bytes here and had \(files[index].byteCount) when it was listed"))
    }
    keep(Kept(file: file, isFinal: stage == nil), index)
    return file
  }

  /// The staged copy, if there is one.
  private func openCopy(_ index: Int) -> OpenFile? {
    guard let path = stage?.copy(of: files[index]) else { return nil }
    do throws(DataError) {
      let file = try OpenFile(path)
      return file.byteCount == files[index].byteCount ? file : nil
    } catch {
      // Another process has made room: the original is still there.
      return nil
    }
  }

  private func keep(_ file: Kept, _ index: Int) {
    kept.withLock {
      // A copy that made room for another takes its place on the disk until it is closed.
      if stage != nil { $0 = $0.filter { access($0.value.file.path, F_OK) == 0 } }
      if $0.count >= Self.keptLimit, let other = $0.keys.first { $0[other] = nil }
      $0[index] = file
    }
  }
}
