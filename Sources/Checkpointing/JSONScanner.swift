/// A strict reader of JSON text that keeps no tree: the caller asks for what the grammar of its file expects next.
///
/// Unlike a general decoder it notices duplicate keys (the caller sees every key), refuses invalid UTF-8, and bounds
/// nesting, which makes it fit for files from strangers.
struct JSONScanner {
  /// What was wrong, and at which byte.
  struct Failure: Error {
    let detail: String
    let offset: Int
  }

  /// Deeper nesting than this is refused; no file read here needs more than four levels.
  private static let maximumDepth = 32

  private let bytes: UnsafeRawBufferPointer
  private(set) var position = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  /// Reads an object; `body` must consume the value of each key it is called with.
  mutating func object(
    _ body: (inout JSONScanner, String) throws(Failure) -> Void
  ) throws(Failure) {
    try expect("{")
    if take("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try body(&self, key)
    } while take(",")
    try expect("}")
  }

  /// Reads an array; `body` must consume one element per call.
  mutating func array(_ body: (inout JSONScanner) throws(Failure) -> Void) throws(Failure) {
    try expect("[")
    if take("]") { return }
    repeat { try body(&self) } while take(",")
    try expect("]")
  }

  /// Reads a string and resolves its escapes.
  mutating func string() throws(Failure) -> String {
    try expect("\"")
    let start = position
    while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\") {
      guard bytes[position] >= 0x20 else { throw failure("a control character in a string") }
      position += 1
    }
    guard position < bytes.count else { throw failure("a string without end") }
    if bytes[position] == UInt8(ascii: "\"") {
      // The common case has no escapes and is decoded in place.
      let text = try utf8(bytes.region(start..<position))
      position += 1
      return text
    }
    return try escapedString(from: start)
  }

  /// Reads an integer that is not negative.
  mutating func naturalNumber() throws(Failure) -> Int {
    skipSpace()
    let start = position
    var value = 0
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(bytes[position] - 0x30))
      guard !overflow, !carry else { throw failure("a number that is too large") }
      value = sum
      position += 1
    }
    guard position > start else { throw failure("expected a number") }
    guard position == start + 1 || bytes[start] != UInt8(ascii: "0") else {
      throw failure("a number with a leading zero")
    }
    return value
  }

  /// Consumes one value of any kind without keeping it.
  mutating func skipValue(depth: Int = 0) throws(Failure) {
    guard depth < Self.maximumDepth else { throw failure("nesting deeper than \(Self.maximumDepth) levels") }
    skipSpace()
    guard position < bytes.count else { throw failure("expected a value") }
    switch bytes[position] {
    case UInt8(ascii: "{"):
      try object { (scanner, _) throws(Failure) in try scanner.skipValue(depth: depth + 1) }
    case UInt8(ascii: "["):
      try array { (scanner) throws(Failure) in try scanner.skipValue(depth: depth + 1) }
    case UInt8(ascii: "\""):
      _ = try string()
    default:
      // Numbers and the words true, false and null.
      let start = position
      while position < bytes.count, isWordByte(bytes[position]) { position += 1 }
      guard position > start else { throw failure("expected a value") }
    }
  }

  /// Consumes white space up to the end of the text.
  mutating func end() throws(Failure) {
    skipSpace()
    guard position == bytes.count else { throw failure("text after the end") }
  }

  func failure(_ detail: String) -> Failure {
    Failure(detail: detail, offset: position)
  }

  private mutating func escapedString(from start: Int) throws(Failure) -> String {
    var text = Array(bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        return try utf8(text)
      case UInt8(ascii: "\\"):
        text.append(contentsOf: try escape().utf8)
      case 0..<0x20:
        throw failure("a control character in a string")
      default:
        text.append(byte)
      }
    }
    throw failure("a string without end")
  }

  /// Reads what follows a backslash.
  private mutating func escape() throws(Failure) -> String {
    guard position < bytes.count else { throw failure("a string without end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var units = [try hexadecimal()]
      if UTF16.isLeadSurrogate(units[0]), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        units.append(try hexadecimal())
      }
      guard let text = String(validating: units, as: UTF16.self) else { throw failure("half a surrogate pair") }
      return text
    default: throw failure("an unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws(Failure) -> UInt16 {
    guard position + 4 <= bytes.count,
      let text = String(validating: bytes[position..<position + 4], as: UTF8.self),
      text.allSatisfy(\.isHexDigit), let unit = UInt16(text, radix: 16)
    else { throw failure("an incomplete \\u escape") }
    position += 4
    return unit
  }

  private func utf8(_ content: some Sequence<UInt8>) throws(Failure) -> String {
    guard let text = String(validating: content, as: UTF8.self) else { throw failure("text that is not UTF-8") }
    return text
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(Failure) {
    guard take(character) else { throw failure("expected '\(character)'") }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  private func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"):
      true
    default:
      false
    }
  }
}
