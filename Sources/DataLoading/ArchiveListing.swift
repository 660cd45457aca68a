import Foundation

/// What an archive holds, by the names of its members.
extension ByteSource {
  /// The images of a class archive, sorted by name. Where a name occurs twice the later one counts, as when it is
  /// unpacked.
  func imageMembers(of part: DatasetPart) throws(DataError) -> PartMembers {
    let range = part.offset..<(part.offset + part.byteCount)
    var result = PartMembers()
    let images = try tarMembers(in: range, name: part.name).enumerated().filter { $1.isImage }
      .sorted {
        precedes($0.element.name, $1.element.name) || $0.element.name == $1.element.name && $0.offset < $1.offset
      }
      .map(\.element)
    for (index, image) in images.enumerated() {
      if image.isLink {
        result.leaveOut(image, of: part, "it is a link")
      } else if index + 1 < images.count, images[index + 1].name == image.name {
        result.leaveOut(image, of: part, "a later member has the same name")
      } else {
        result.append(image)
      }
    }
    return result
  }

  /// The samples of a shard in their order: consecutive members with the same name up to the first dot after the last
  /// slash belong together.
  func sampleMembers(of part: DatasetPart) throws(DataError) -> PartMembers {
    let range = part.offset..<(part.offset + part.byteCount)
    var result = PartMembers()
    var seen: Set<Substring> = []
    var rest = try tarMembers(in: range, name: part.name).filter { !$0.isHidden }[...]
    while let first = rest.first {
      let key = first.sampleKey
      let group = rest.prefix { $0.sampleKey == key }
      rest = rest.dropFirst(group.count)
      var images = group.filter(\.isImage)
      images.removeAll { image in
        if image.isLink { result.leaveOut(image, of: part, "it is a link") }
        return image.isLink
      }
      guard let image = images.first else { continue }
      for other in images.dropFirst() { result.leaveOut(other, of: part, "its sample has an image already") }
      guard seen.insert(key).inserted else {
        result.leaveOut(image, of: part, "an earlier sample has the same key")
        continue
      }
      do throws(SampleTrouble) {
        let text = try classText(of: Array(group), name: part.name)
        result.append(image)
        result.classTexts.append(text)
      } catch {
        result.leaveOut(image, of: part, error.reason)
      }
    }
    return result
  }

  /// The class that a sample's `.cls` or `.json` member states; nothing where it has neither.
  private func classText(of group: [TarMember], name: String) throws(SampleTrouble) -> String {
    guard let member = group.first(where: { $0.hasExtension("cls") }) ?? group.first(where: { $0.hasExtension("json") })
    else { return "" }
    guard !member.isLink, member.byteCount <= SampleClass.longestMember else {
      throw SampleTrouble(reason: "its class is a link or has \(member.byteCount) bytes")
    }
    let bytes: [UInt8]
    do throws(DataError) {
      bytes = try read(at: member.offset, count: member.byteCount, name: name)
    } catch {
      throw SampleTrouble(reason: error.reason.description)
    }
    guard let text = member.hasExtension("cls") ? SampleClass.text(cls: bytes) : SampleClass.text(json: bytes) else {
      throw SampleTrouble(reason: "its \(member.name) states no class")
    }
    return text
  }

  /// Whether the first members of an archive are samples: images with a `.cls` or `.json` beside them.
  func holdsSamples(name: String) throws(DataError) -> Bool {
    let members = try tarMembers(in: 0..<byteCount, name: name, limit: 8)
    return members.contains { member in
      (member.hasExtension("cls") || member.hasExtension("json")) && !member.isHidden
        && members.contains { $0.isImage && $0.sampleKey == member.sampleKey }
    }
  }
}

private struct SampleTrouble: Error {
  let reason: String
}

extension PartMembers {
  fileprivate mutating func append(_ member: TarMember) {
    names.append(member.name)
    offsets.append(member.offset)
    byteCounts.append(member.byteCount)
  }

  fileprivate mutating func leaveOut(_ member: TarMember, of part: DatasetPart, _ reason: String) {
    leftOut.append(LeftOutMember(name: part.name + "!" + member.name, reason: reason))
  }
}

extension TarMember {
  private var lastPart: Substring {
    name.utf8.lastIndex(of: UInt8(ascii: "/")).map { name[name.index(after: $0)...] } ?? name[...]
  }

  /// macOS adds resource forks (`._x.JPEG`), and packers other hidden files.
  var isHidden: Bool { lastPart.hasPrefix(".") || lastPart.hasPrefix("__") }

  /// Whether the name says image.
  var isImage: Bool { hasImageExtension(lastPart) && !lastPart.hasPrefix(".") }

  /// Whether the last extension is `text`.
  func hasExtension(_ text: String) -> Bool { lastPart.hasSuffix("." + text) }

  /// The name without its extensions: what the members of a sample share.
  var sampleKey: Substring {
    let last = lastPart
    guard let dot = last.firstIndex(of: ".") else { return name[...] }
    return name[..<dot]
  }
}

/// How samples state their class.
enum SampleClass {
  static let longestMember = 1 << 16
  private static let longestName = 200

  /// The text of a `.cls` member: a number, or the name of a class.
  static func text(cls bytes: [UInt8]) -> String? {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    return checked(text)
  }

  /// The first of the keys `label`, `cls`, `class`, `wnid` that a JSON object has.
  static func text(json bytes: [UInt8]) -> String? {
    let fields: [String: Field]
    do {
      fields = try JSONDecoder().decode([String: Field].self, from: Data(bytes))
    } catch {
      return nil
    }
    for key in ["label", "cls", "class", "wnid"] {
      switch fields[key] {
      case .number(let value): return String(value)
      case .text(let text): return checked(text)
      case .other, nil: continue
      }
    }
    return nil
  }

  private static func checked(_ text: String) -> String? {
    let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
    let isPlain = !text.isEmpty && text.utf8.count <= longestName && text.allSatisfy { !$0.isNewline && $0 != "\0" }
    guard isPlain else { return nil }
    guard let number = Int(text) else { return text }
    return number >= 0 && number < 1 << 24 ? String(number) : nil
  }

  private enum Field: Decodable {
    case number(Int)
    case text(String)
    case other

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      do {
        let number = try container.decode(Int.self)
        self = (0..<(1 << 24)).contains(number) ? .number(number) : .other
      } catch {
        do { self = .text(try container.decode(String.self)) } catch { self = .other }
      }
    }
  }
}
