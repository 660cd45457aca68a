/// A part of a data set whose members are listed on their own: a class folder, a class archive or a shard.
struct DatasetPart: Codable, Sendable, Equatable {
  /// Index into the outline's files; meaningless for folders.
  var file = 0
  /// Where the archive begins in its file.
  var offset = 0
  /// The archive's length.
  var byteCount = 0
  /// What to call it in messages: a path, or `archive.tar!inner.tar`; for folders the path below the root.
  var name: String
  /// The class of everything in it; `nil` where images have none or each has its own.
  var className: String?
}

/// The images of one part, in the order in which they are numbered.
struct PartMembers: Sendable, Equatable {
  /// Member names, or paths below the root.
  var names = NameList()
  /// Where each image begins in its file; empty for folders.
  var offsets: [Int] = []
  /// Length of each image; empty for folders.
  var byteCounts: [Int] = []
  /// The class of each image as its `.cls` or `.json` says, or nothing where the part's class counts.
  var classTexts: [String] = []
  /// Members that look like images and are not used, with the reason.
  var leftOut: [LeftOutMember] = []

  /// As bytes, to be stored or sent.
  var encoded: [UInt8] {
    var writer = ByteWriter()
    names.encode(into: &writer)
    writer.append(numbers: offsets)
    writer.append(numbers: byteCounts)
    // Few texts occur often: they are stored once and referred to by number.
    let texts = Array(Set(classTexts)).sorted(by: precedes)
    let numbers = Dictionary(uniqueKeysWithValues: texts.enumerated().map { ($1, Int32($0)) })
    writer.append(texts.count)
    for text in texts { writer.append(text) }
    writer.append(numbers: classTexts.map { numbers[$0] ?? 0 })
    writer.append(leftOut.count)
    for member in leftOut {
      writer.append(member.name)
      writer.append(member.reason)
    }
    return writer.bytes
  }

  init() {}

  init(from reader: inout ByteReader) throws(ByteReader.Damage) {
    names = try NameList(from: &reader)
    offsets = try reader.numbers()
    byteCounts = try reader.numbers()
    var texts: [String] = []
    for _ in 0..<(try reader.count()) { texts.append(try reader.text()) }
    for number: Int32 in try reader.numbers() {
      guard texts.indices.contains(Int(number)) else { throw ByteReader.Damage() }
      classTexts.append(texts[Int(number)])
    }
    for _ in 0..<(try reader.count()) {
      leftOut.append(LeftOutMember(name: try reader.text(), reason: try reader.text()))
    }
    let isConsistent =
      [0, names.count].contains(offsets.count) && offsets.count == byteCounts.count
      && [0, names.count].contains(classTexts.count)
      && zip(offsets, byteCounts).allSatisfy { $0 >= 0 && $1 >= 0 }
    if !isConsistent { throw ByteReader.Damage() }
  }
}

/// A member of an archive that looks like an image and is not used.
public struct LeftOutMember: Codable, Sendable, Equatable {
  /// `ARCHIVE!MEMBER`.
  public var name: String
  /// Why.
  public var reason: String

  /// Says why a member is not used.
  public init(name: String, reason: String) {
    self.name = name
    self.reason = reason
  }
}
