import Foundation

/// The classes of images in one flat archive, in the order of the images' sorted names.
public struct ImageLabels: Codable, Sendable, Equatable {
  /// Sorted names of the classes (wnids).
  public var classNames: [String]
  /// The class of each image.
  public var labels: [Int32]

  /// ImageNet's development kit beside its archive of validation images, as both are downloaded.
  static func place(beside archive: String) -> String? {
    let folder = archive.lastIndex(of: "/").map { String(archive[...$0]) } ?? ""
    let kit = folder + "ILSVRC2012_devkit_t12"
    return [kit + ".tar.gz", kit].first { access($0, R_OK) == 0 }
  }

  /// Reads labels from `ILSVRC2012_devkit_t12.tar.gz`, from the folder it unpacks to, or from a text file with one
  /// class per image, in the order of their names.
  ///
  /// In the development kit images have ILSVRC ids; ids belong to the leaf synsets of `meta.mat`, and a class is the
  /// rank of its wnid among these.
  /// - Throws: `DataError` when they cannot be read.
  public init(at path: String) throws(DataError) {
    switch try FileKind(at: path) {
    case .folder:
      let folder = access(path + "/data", R_OK) == 0 ? path + "/data" : path
      try self.init(
        synsets: readFile(folder + "/" + Self.synsetFile), truth: readFile(folder + "/" + Self.truthFile), path: path)
    case .file, .other:
      let bytes = try readFile(path)
      if bytes.starts(with: [0x1F, 0x8B]) {
        let archive = try Inflating.gzip(bytes, name: path)
        let members = try archive.tarMembers(in: 0..<archive.count, name: path)
        let member = { (name: String) throws(DataError) in
          guard let member = members.last(where: { $0.name.hasSuffix("/" + name) || $0.name == name }) else {
            throw DataError(path: path, reason: .badLabels(detail: "there is no \(name) in it"))
          }
          return try archive.read(at: member.offset, count: member.byteCount, name: path)
        }
        try self.init(synsets: member(Self.synsetFile), truth: member(Self.truthFile), path: path)
      } else {
        try self.init(list: bytes, path: path)
      }
    }
  }

  private static let synsetFile = "meta.mat"
  private static let truthFile = "ILSVRC2012_validation_ground_truth.txt"

  /// From ImageNet's own files.
  private init(synsets: [UInt8], truth: [UInt8], path: String) throws(DataError) {
    let wnids = try Self.wnids(synsets, path: path)
    let classNames = wnids.values.sorted(by: precedes)
    let ranks = Dictionary(uniqueKeysWithValues: classNames.enumerated().map { ($1, Int32($0)) })
    self.classNames = classNames
    labels = []
    for line in String(decoding: truth, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let text = line.trimmingCharacters(in: .whitespaces)
      guard let id = Int(text), let wnid = wnids[id], let rank = ranks[wnid] else {
        throw DataError(
          path: path,
          reason: .badLabels(
            detail: "line \(labels.count + 1) of \(Self.truthFile) is '\(text.prefix(20))', no known id"))
      }
      labels.append(rank)
    }
  }

  /// The wnid of each ILSVRC id: of the synsets that have no children.
  private static func wnids(_ bytes: [UInt8], path: String) throws(DataError) -> [Int: String] {
    let file = try MATLABFile(bytes, name: path)
    var wnids: [Int: String] = [:]
    for synset in file.structures["synsets"] ?? [] {
      guard case .numbers(let ids) = synset["ILSVRC2012_ID"], let id = ids.first.flatMap({ Int(exactly: $0) }),
        case .text(let wnid) = synset["WNID"], case .numbers(let counts) = synset["num_children"]
      else { continue }
      if counts.first == 0 { wnids[id] = wnid }
    }
    guard !wnids.isEmpty, Set(wnids.values).count == wnids.count else {
      throw DataError(
        path: path, reason: .badLabels(detail: "\(synsetFile) has no 'synsets' with distinct WNID and ILSVRC2012_ID"))
    }
    return wnids
  }

  /// From a list: one class name per line.
  private init(list: [UInt8], path: String) throws(DataError) {
    guard let text = String(validating: list, as: UTF8.self) else {
      throw DataError(path: path, reason: .badLabels(detail: "neither a development kit nor a text file"))
    }
    let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
    if let index = lines.firstIndex(where: { $0.isEmpty || $0.contains(where: \.isWhitespace) || $0.utf8.count > 200 })
    {
      throw DataError(
        path: path,
        reason: .badLabels(detail: "line \(index + 1) must be one class name; lines follow the sorted names of images"))
    }
    classNames = Set(lines).sorted(by: precedes)
    let ranks = Dictionary(uniqueKeysWithValues: classNames.enumerated().map { ($1, Int32($0)) })
    labels = lines.compactMap { ranks[$0] }
  }
}
