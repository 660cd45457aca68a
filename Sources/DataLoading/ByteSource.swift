/// Bytes that can be read from any place: an open file, or memory.
protocol ByteSource {
  var byteCount: Int { get }
  /// - Throws: `DataError` about `name` when the bytes are not there or cannot be read.
  func read(at offset: Int, count: Int, name: String) throws(DataError) -> [UInt8]
}

extension OpenFile: ByteSource {}

extension [UInt8]: ByteSource {
  var byteCount: Int { count }

  func read(at offset: Int, count: Int, name: String) throws(DataError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= self.count - count else {
      throw DataError(path: name, reason: .unreadable(detail: "ends at byte \(self.count), \(offset + count) expected"))
    }
    return Array(self[offset..<(offset + count)])
  }
}

/// Numbers and texts one after the other, little-endian: how indices are stored and sent.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ value: Int) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
  mutating func append(_ values: [UInt8]) {
    append(values.count)
    bytes.append(contentsOf: values)
  }
  mutating func append(_ text: String) { append(Array(text.utf8)) }

  /// Every machine this runs on is little-endian, so an array is stored as it lies in memory.
  mutating func append<Element: FixedWidthInteger>(numbers: [Element]) {
    append(numbers.count)
    numbers.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }
}

/// Reads what a `ByteWriter` wrote; whatever the bytes are, nothing is read or allocated beyond them.
struct ByteReader {
  struct Damage: Error {}
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  private mutating func integer() throws(Damage) -> Int {
    guard rest.count >= 8 else { throw Damage() }
    defer { rest = rest.dropFirst(8) }
    return rest.withUnsafeBytes { Int(littleEndian: $0.loadUnaligned(as: Int.self)) }
  }

  /// How many things follow, none of which takes less than a number.
  mutating func count() throws(Damage) -> Int {
    let count = try integer()
    guard count >= 0, count <= rest.count / 8 else { throw Damage() }
    return count
  }

  mutating func byteArray() throws(Damage) -> [UInt8] { try numbers() }
  mutating func text() throws(Damage) -> String { String(decoding: try byteArray(), as: UTF8.self) }

  mutating func numbers<Element: FixedWidthInteger>() throws(Damage) -> [Element] {
    let count = try integer()
    let size = MemoryLayout<Element>.size
    guard count >= 0, count <= rest.count / size else { throw Damage() }
    let values = [Element](unsafeUninitializedCapacity: count) { buffer, filled in
      rest.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: .init(rebasing: $0[..<(count * size)]))
      }
      filled = count
    }
    rest = rest.dropFirst(count * size)
    return values
  }
}

/// A 64-bit checksum of bytes, eight at a time; finds damage, not forgery.
func checksum(of bytes: ArraySlice<UInt8>) -> UInt64 {
  bytes.withUnsafeBytes { raw in
    var state = mixed(UInt64(raw.count))
    let whole = raw.count / 8 * 8
    for offset in stride(from: 0, to: whole, by: 8) {
      state = (state ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
      state ^= state >> 29
    }
    for byte in raw[whole...] { state = mixed(state ^ UInt64(byte)) }
    return mixed(state)
  }
}
