/// The structure arrays of a MATLAB file of level 5, compressed or not: as much as ImageNet's `meta.mat` needs.
///
/// Layout: a header of 128 bytes, then elements of a type, a byte count and data padded to 8 bytes. Little-endian files
/// only; every machine that writes them today is.
struct MATLABFile {
  /// One field of one element of a structure array.
  enum Value: Equatable {
    case numbers([Double])
    case text(String)
    /// A cell, a structure or something else that is not read.
    case other
  }

  /// Elements in column-major order, each with its fields, by the name of the variable.
  private(set) var structures: [String: [[String: Value]]] = [:]

  /// - Throws: `DataError` when the bytes are no such file or are damaged.
  init(_ bytes: [UInt8], name: String) throws(DataError) {
    do {
      guard bytes.count >= 128, bytes[126] == UInt8(ascii: "I"), bytes[127] == UInt8(ascii: "M") else {
        throw Damage(detail: "no header of a MATLAB 5 file")
      }
      var reader = Reader(bytes[128...])
      while !reader.isAtEnd {
        let element = try reader.next()
        if element.type == .compressed {
          var inner = Reader(try Inflating.zlib(Array(element.data), name: name)[...])
          while !inner.isAtEnd { try read(inner.next()) }
        } else {
          try read(element)
        }
      }
    } catch let damage as Damage {
      throw DataError(path: name, reason: .unreadable(detail: "not a readable MATLAB file: \(damage.detail)"))
    } catch let error as DataError {
      throw error
    } catch {
      throw DataError(path: name, reason: .unreadable(detail: "\(error)"))
    }
  }

  private mutating func read(_ element: Element) throws(Damage) {
    guard element.type == .matrix else { return }
    var matrix = try Matrix(element.data)
    guard matrix.kind == .structure else { return }
    structures[matrix.name] = try matrix.structureElements()
  }

  private struct Damage: Error {
    let detail: String
  }

  private struct Element {
    enum Kind: UInt32 {
      case int8 = 1, uint8 = 2, int16 = 3, uint16 = 4, int32 = 5, uint32 = 6, single = 7, double = 9, int64 = 12
      case uint64 = 13, matrix = 14, compressed = 15, utf8 = 16
    }
    let type: Kind
    let data: ArraySlice<UInt8>

    /// All numbers as doubles.
    func numbers() throws(Damage) -> [Double] {
      func all<Bits: FixedWidthInteger>(_: Bits.Type, _ value: (Bits) -> Double) -> [Double] {
        let size = Bits.bitWidth / 8
        return (0..<(data.count / size)).map { index in
          let start = data.startIndex + index * size
          return value(data[start..<(start + size)].reversed().reduce(0) { $0 << 8 | Bits(truncatingIfNeeded: $1) })
        }
      }
      return switch type {
      case .int8: all(Int8.self) { Double($0) }
      case .uint8, .utf8: all(UInt8.self) { Double($0) }
      case .int16: all(UInt16.self) { Double(Int16(bitPattern: $0)) }
      case .uint16: all(UInt16.self) { Double($0) }
      case .int32: all(UInt32.self) { Double(Int32(bitPattern: $0)) }
      case .uint32: all(UInt32.self) { Double($0) }
      case .single: all(UInt32.self) { Double(Float(bitPattern: $0)) }
      case .double: all(UInt64.self) { Double(bitPattern: $0) }
      case .int64: all(UInt64.self) { Double(Int64(bitPattern: $0)) }
      case .uint64: all(UInt64.self) { Double($0) }
      case .matrix, .compressed: throw Damage(detail: "numbers expected")
      }
    }
  }

  /// Goes through consecutive elements.
  private struct Reader {
    private var rest: ArraySlice<UInt8>
    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }
    var byteCount: Int { rest.count }

    mutating func next() throws(Damage) -> Element {
      guard rest.count >= 8 else { throw Damage(detail: "it ends inside a tag") }
      let tag = littleEndian32(rest, at: 0)
      // Up to four bytes of data may stand in the tag itself; then the count is its upper half.
      let isSmall = tag >> 16 != 0
      let byteCount = Int(isSmall ? tag >> 16 : littleEndian32(rest, at: 4))
      let start = rest.startIndex + (isSmall ? 4 : 8)
      guard byteCount <= (isSmall ? 4 : rest.endIndex - start) else {
        throw Damage(detail: "an element of \(byteCount) bytes, and fewer follow")
      }
      guard let type = Element.Kind(rawValue: tag & 0xFFFF) else {
        throw Damage(detail: "an element of the unknown type \(tag & 0xFFFF)")
      }
      // Compressed elements are not padded.
      let padded = type == .compressed ? byteCount : (byteCount + 7) / 8 * 8
      let end = isSmall ? rest.startIndex + 8 : min(start + padded, rest.endIndex)
      defer { rest = rest[end...] }
      return Element(type: type, data: rest[start..<(start + byteCount)])
    }
  }

  private struct Matrix {
    enum Kind { case structure, text, numeric, other }
    let kind: Kind
    let name: String
    let elementCount: Int
    private static let longestDimension = 1 << 24
    private var reader: Reader

    init(_ data: ArraySlice<UInt8>) throws(Damage) {
      reader = Reader(data)
      let flags = try reader.next()
      guard flags.data.count == 8 else { throw Damage(detail: "an array without flags") }
      kind =
        switch littleEndian32(flags.data, at: 0) & 0xFF {
        case 2: .structure
        case 4: .text
        case 6...15: .numeric
        default: .other
        }
      var count = 1
      for dimension in try reader.next().numbers() {
        guard let size = Int(exactly: dimension), (0...Self.longestDimension).contains(size),
          count <= Self.longestDimension
        else { throw Damage(detail: "an absurd dimension") }
        count *= size
      }
      elementCount = count
      name = String(decoding: try reader.next().data, as: UTF8.self)
    }

    /// The value of an array that is a field.
    mutating func value() throws(Damage) -> Value {
      switch kind {
      case .numeric: return .numbers(try reader.next().numbers())
      case .text:
        let characters = try reader.next()
        if characters.type == .utf8 { return .text(String(decoding: characters.data, as: UTF8.self)) }
        return .text(String(decoding: try characters.numbers().map { UInt16(exactly: $0) ?? 0xFFFD }, as: UTF16.self))
      case .structure, .other: return .other
      }
    }

    mutating func structureElements() throws(Damage) -> [[String: Value]] {
      guard let nameLength = try reader.next().numbers().first.flatMap({ Int(exactly: $0) }), nameLength > 0 else {
        throw Damage(detail: "a structure without names of fields")
      }
      let names = try reader.next().data
      let fields = stride(from: 0, to: names.count - nameLength + 1, by: nameLength).map { offset in
        String(decoding: names[(names.startIndex + offset)...].prefix(nameLength).prefix { $0 != 0 }, as: UTF8.self)
      }
      guard !fields.isEmpty, elementCount <= reader.byteCount / (8 * fields.count) else {
        throw Damage(detail: "a structure of \(elementCount) elements in \(reader.byteCount) bytes")
      }
      var elements: [[String: Value]] = []
      for _ in 0..<elementCount {
        var element: [String: Value] = [:]
        for field in fields {
          let part = try reader.next()
          // An empty matrix element stands for an empty value.
          guard part.type == .matrix, !part.data.isEmpty else { continue }
          var matrix = try Matrix(part.data)
          element[field] = try matrix.value()
        }
        elements.append(element)
      }
      return elements
    }
  }
}
