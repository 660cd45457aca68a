/// The header of an `.npy` array: magic, version, and a Python dictionary with element type, order and shape.
///
/// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NumPyHeader {
  /// What is wrong with a header.
  struct Problem: Error {
    let detail: String
    /// Whether it follows the format, but uses a part of it that is not read.
    var isUnsupported = false
  }

  /// A dictionary is never longer.
  static let longest = 1 << 16

  let elementType: ElementType
  let shape: [Int]
  /// Bytes of the header.
  let byteCount: Int

  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let types: [String: ElementType] = [
    "<f8": .float64, "<f4": .float32, "<f2": .float16, "<i8": .int64, "<i4": .int32, "<i2": .int16, "|i1": .int8,
    "|u1": .uint8, "|b1": .bool,
  ]

  /// Reads a header from the first bytes of an array.
  init(_ bytes: [UInt8]) throws(Problem) {
    guard bytes.count >= 10, bytes.starts(with: Self.magic) else { throw Problem(detail: "it is not an array") }
    let isWide = bytes[6] >= 2
    guard (1...3).contains(bytes[6]), !isWide || bytes.count >= 12 else {
      throw Problem(detail: "arrays of version \(bytes[6])", isUnsupported: true)
    }
    let start = isWide ? 12 : 10
    let length = (8..<start).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard length <= min(Self.longest, bytes.count - start) else { throw Problem(detail: "its header is cut short") }
    var scanner = Scanner(bytes[start..<start + length])
    let (type, isFortran, shape) = try scanner.dictionary()
    guard let elementType = Self.types[type] else {
      throw Problem(detail: "elements of type '\(type)'", isUnsupported: true)
    }
    guard !isFortran || shape.count < 2 else {
      throw Problem(detail: "Fortran order (save it with numpy.ascontiguousarray)", isUnsupported: true)
    }
    self.elementType = elementType
    self.shape = shape
    byteCount = start + length
  }

  /// Magic, version 1.0 and the dictionary, padded to a multiple of 64 bytes.
  static func bytes(elementType: ElementType, shape: [Int]) -> [UInt8] {
    guard let type = types.first(where: { $0.value == elementType })?.key else {
      fatalError("NumPyHeader: NumPy has no \(elementType.rawValue)")
    }
    let dimensions = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(dimensions)), }"
    text += String(repeating: " ", count: 63 - (10 + text.utf8.count) % 64) + "\n"
    return magic + [1, 0] + littleEndian(UInt16(text.utf8.count)) + Array(text.utf8)
  }

  /// Reads the dictionary: three keys in any order.
  private struct Scanner {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func dictionary() throws(Problem) -> (type: String, isFortran: Bool, shape: [Int]) {
      var (type, isFortran, shape) = (String?.none, Bool?.none, [Int]?.none)
      try expect("{")
      while !takes("}") {
        let key = try text()
        try expect(":")
        switch key {
        case "descr" where type == nil: type = try text()
        case "fortran_order" where isFortran == nil: isFortran = try boolean()
        case "shape" where shape == nil: shape = try tuple()
        default: throw Problem(detail: "its header has an unknown or second key '\(key)'")
        }
        if !takes(",") {
          try expect("}")
          break
        }
      }
      guard let type, let isFortran, let shape else { throw Problem(detail: "its header lacks a key") }
      return (type, isFortran, shape)
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == 0x20 || $0 == 0x0A } }

    private mutating func takes(_ token: String) -> Bool {
      skipSpace()
      guard rest.starts(with: token.utf8) else { return false }
      rest = rest.dropFirst(token.utf8.count)
      return true
    }

    private mutating func expect(_ token: String) throws(Problem) {
      guard takes(token) else { throw Problem(detail: "its header has no '\(token)' where one belongs") }
    }

    private mutating func text() throws(Problem) -> String {
      skipSpace()
      guard let quote = rest.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
        throw Problem(detail: "its header has no text where one belongs (structured elements are not supported)")
      }
      guard let end = rest.dropFirst().firstIndex(of: quote) else { throw Problem(detail: "its header is cut short") }
      let text = String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self)
      rest = rest[(end + 1)...]
      return text
    }

    private mutating func boolean() throws(Problem) -> Bool {
      if takes("True") { return true }
      try expect("False")
      return false
    }

    private mutating func tuple() throws(Problem) -> [Int] {
      var values: [Int] = []
      try expect("(")
      while !takes(")") {
        skipSpace()
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard let value = Int(String(decoding: digits, as: UTF8.self)), values.count < 32 else {
          throw Problem(detail: "its header has a shape that cannot be")
        }
        rest = rest.dropFirst(digits.count)
        values.append(value)
        if !takes(",") {
          try expect(")")
          break
        }
      }
      return values
    }
  }
}
