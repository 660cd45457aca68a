/// One 512-byte header of a tar archive (POSIX ustar with GNU's and pax's extensions).
struct TarHeader {
  enum Kind {
    case file
    /// GNU: the data is the name of the next member.
    case longName
    /// pax: the data is a list of properties of the next member.
    case properties
    /// A symbolic or hard link.
    case link
    /// Folders, devices and whatever else carries no image.
    case other
  }

  static let byteCount = 512

  let name: String
  let dataByteCount: Int
  let kind: Kind

  /// - Returns: `nil` for the block of zeros that ends an archive.
  /// - Throws: `TarDamage` when the block is no header.
  init?(_ block: ArraySlice<UInt8>) throws(TarDamage) {
    require(block.count == Self.byteCount, "TarHeader: \(block.count) bytes instead of \(Self.byteCount)")
    if block.allSatisfy({ $0 == 0 }) { return nil }
    let field = { (range: Range<Int>) in
      block[(block.startIndex + range.lowerBound)..<(block.startIndex + range.upperBound)]
    }

    // The sum of all bytes, with the field of the sum itself read as spaces.
    let sum = block.reduce(0) { $0 + Int($1) } - field(148..<156).reduce(0) { $0 + Int($1) } + 8 * 32
    guard try Self.number(field(148..<156)) == sum else { throw TarDamage(detail: "the header's checksum is wrong") }

    let shortName = Self.text(field(0..<100))
    // GNU headers keep other things where ustar has the first part of a long name.
    let isUstar = field(257..<263).elementsEqual(Array("ustar".utf8) + [0])
    let prefix = isUstar ? Self.text(field(345..<500)) : ""
    name = prefix.isEmpty ? shortName : prefix + "/" + shortName
    dataByteCount = try Self.number(field(124..<136))
    switch block[block.startIndex + 156] {
    case UInt8(ascii: "0"), UInt8(ascii: "7"), 0: kind = shortName.hasSuffix("/") ? .other : .file
    case UInt8(ascii: "1"), UInt8(ascii: "2"): kind = .link
    case UInt8(ascii: "L"): kind = .longName
    case UInt8(ascii: "x"): kind = .properties
    case UInt8(ascii: "S"): throw TarDamage(detail: "sparse members are not supported; pack it without --sparse")
    default: kind = .other
    }
  }

  /// Text up to the first zero.
  static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }

  /// Octal digits, or a big-endian number behind a set top bit (sizes from 8 GiB on).
  private static func number(_ bytes: ArraySlice<UInt8>) throws(TarDamage) -> Int {
    let damage = TarDamage(detail: "a number in the header does not parse")
    if let first = bytes.first, first & 0x80 != 0 {
      var value = Int(first & 0x7F)
      for byte in bytes.dropFirst() {
        guard value < 1 << 54 else { throw damage }
        value = value << 8 | Int(byte)
      }
      return value
    }
    let digits = bytes.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
    var value = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { throw damage }
      value = value << 3 | Int(digit - UInt8(ascii: "0"))
    }
    return value
  }
}

/// Why a block of an archive cannot be read.
struct TarDamage: Error {
  let detail: String
}

/// What a pax header says about the next member: lines `LENGTH KEY=VALUE`, the length counting the whole line.
struct TarProperties {
  private(set) var path: String?
  private(set) var dataByteCount: Int?

  init(_ bytes: [UInt8]) throws(TarDamage) {
    let damage = TarDamage(detail: "a pax header does not parse")
    var rest = bytes[...]
    while let first = rest.first, first != 0 {
      guard let space = rest.firstIndex(of: UInt8(ascii: " ")),
        let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
        length > space - rest.startIndex + 1, length <= rest.count,
        rest[rest.startIndex + length - 1] == UInt8(ascii: "\n")
      else { throw damage }
      let line = rest[(space + 1)..<(rest.startIndex + length - 1)]
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { throw damage }
      let value = String(decoding: line[(equals + 1)...], as: UTF8.self)
      switch String(decoding: line[..<equals], as: UTF8.self) {
      case "path": path = value
      case "size":
        guard let size = Int(value), size >= 0 else { throw damage }
        dataByteCount = size
      default: break
      }
      rest = rest[(rest.startIndex + length)...]
    }
  }
}
