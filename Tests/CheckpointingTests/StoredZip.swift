@testable import Checkpointing

/// Makes zip archives of stored entries, with or without 64-bit records.
struct StoredZip {
  var entries: [(name: String, content: [UInt8])] = []
  var isZip64 = false

  var bytes: [UInt8] {
    var archive: [UInt8] = []
    var directory: [UInt8] = []
    for (name, content) in entries {
      let offset = archive.count
      let checksum = content.withUnsafeBytes { crc32($0) }
      let length = isZip64 ? 0xFFFF_FFFF : UInt32(content.count)
      archive += littleEndian(UInt32(0x0403_4B50)) + [45, 0, 0, 0, 0, 0, 0, 0, 0, 0] + littleEndian(checksum)
      archive += littleEndian(UInt32(content.count)) + littleEndian(UInt32(content.count))
      archive += littleEndian(UInt16(name.utf8.count)) + [0, 0] + Array(name.utf8) + content

      let wide = [UInt64(content.count), UInt64(content.count), UInt64(offset)].flatMap { littleEndian($0) }
      // An unrelated field first: readers must step over it.
      let extra: [UInt8] = isZip64 ? [0x99, 0x99, 2, 0, 7, 7] + [1, 0, 24, 0] + wide : []
      directory += littleEndian(UInt32(0x0201_4B50)) + [45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0] + littleEndian(checksum)
      directory += littleEndian(length) + littleEndian(length) + littleEndian(UInt16(name.utf8.count))
      directory += littleEndian(UInt16(extra.count)) + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      directory += littleEndian(isZip64 ? 0xFFFF_FFFF : UInt32(offset)) + Array(name.utf8) + extra
    }
    let start = archive.count
    archive += directory
    if isZip64 {
      let record = archive.count
      archive += littleEndian(UInt32(0x0606_4B50)) + littleEndian(UInt64(44)) + [45, 0, 45, 0]
      archive += [UInt8](repeating: 0, count: 8)
      archive += littleEndian(UInt64(entries.count)) + littleEndian(UInt64(entries.count))
      archive += littleEndian(UInt64(directory.count)) + littleEndian(UInt64(start))
      archive += littleEndian(UInt32(0x0706_4B50)) + [0, 0, 0, 0] + littleEndian(UInt64(record)) + [1, 0, 0, 0]
    }
    archive += littleEndian(UInt32(0x0605_4B50)) + [0, 0, 0, 0]
    archive += littleEndian(UInt16(entries.count)) + littleEndian(UInt16(entries.count))
    archive += littleEndian(isZip64 ? 0xFFFF_FFFF : UInt32(directory.count))
    archive += littleEndian(isZip64 ? 0xFFFF_FFFF : UInt32(start)) + [0, 0]
    return archive
  }
}

func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// Writes pickles by hand: the instructions that the tests need, by name.
struct PickleText {
  private(set) var bytes: [UInt8] = [0x80, 2]

  mutating func raw(_ code: String) { bytes += Array(code.utf8) }
  mutating func raw(_ code: UInt8...) { bytes += code }

  mutating func text(_ text: String) {
    raw("X")
    bytes += littleEndian(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  mutating func integer(_ value: Int) {
    raw(0x8A, 8)
    bytes += littleEndian(Int64(value))
  }

  mutating func global(_ module: String, _ name: String) { raw("c\(module)\n\(name)\n") }

  mutating func tuple(_ values: [Int]) {
    raw("(")
    for value in values { integer(value) }
    raw("t")
  }

  mutating func storage(_ key: String, type: String = "FloatStorage", count: Int) {
    raw("(")
    text("storage")
    global("torch", type)
    text(key)
    text("cpu")
    integer(count)
    raw("tQ")
  }

  mutating func tensor(storage key: String, count: Int, offset: Int = 0, shape: [Int], strides: [Int]) {
    global("torch._utils", "_rebuild_tensor_v2")
    raw("(")
    storage(key, count: count)
    integer(offset)
    tuple(shape)
    tuple(strides)
    raw(0x89)
    raw(")tR")
  }

  /// The file `{name: …}` whose values `body` pushes after their names.
  static func file(storages: [String: [UInt8]] = [:], _ body: (inout PickleText) -> Void) -> [UInt8] {
    var pickle = PickleText()
    pickle.raw("}(")
    body(&pickle)
    pickle.raw("u.")
    let data = storages.sorted { $0.key < $1.key }.map { ("x/data/\($0.key)", $0.value) }
    return StoredZip(entries: [("x/data.pkl", pickle.bytes)] + data).bytes
  }
}
