/// A message in the wire format of protocol buffers, field after field.
struct ProtocolBuffer {
  /// The bytes so far.
  private(set) var bytes: [UInt8] = []

  /// Appends an integer.
  mutating func append(_ field: Int, _ value: Int64) {
    appendKey(field, wireType: 0)
    appendVariable(UInt64(bitPattern: value))
  }

  /// Appends a double.
  mutating func append(_ field: Int, _ value: Double) {
    appendKey(field, wireType: 1)
    bytes += littleEndianBytes(value.bitPattern)
  }

  /// Appends a float.
  mutating func append(_ field: Int, _ value: Float) {
    appendKey(field, wireType: 5)
    bytes += littleEndianBytes(value.bitPattern)
  }

  /// Appends text.
  mutating func append(_ field: Int, _ text: String) { append(field, Array(text.utf8)) }

  /// Appends bytes.
  mutating func append(_ field: Int, _ content: [UInt8]) {
    appendKey(field, wireType: 2)
    appendVariable(UInt64(content.count))
    bytes += content
  }

  /// Appends packed doubles.
  mutating func append(_ field: Int, packed values: [Double]) {
    append(field, values.flatMap { littleEndianBytes($0.bitPattern) })
  }

  /// Appends a message.
  mutating func append(_ field: Int, _ fill: (inout ProtocolBuffer) -> Void) {
    var message = ProtocolBuffer()
    fill(&message)
    append(field, message.bytes)
  }

  private mutating func appendKey(_ field: Int, wireType: UInt64) { appendVariable(UInt64(field) << 3 | wireType) }

  private mutating func appendVariable(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// The bytes of a number, lowest first.
func littleEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian, Array.init)
}
