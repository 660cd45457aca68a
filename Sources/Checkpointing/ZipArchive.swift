import CImageCodecs
import Foundation

/// The directory of a zip archive, zip64 included: of stored files, as PyTorch writes them, and where asked for of
/// deflated ones.
///
/// Nothing is unpacked before it is asked for: an entry is a range of the archive's bytes. Entries that overlap are
/// refused, so the work of checking them is bounded by the size of the file.
struct ZipArchive: Sendable {
  /// One file of the archive.
  struct Entry: Sendable {
    let name: String
    /// Its content as it is stored.
    let range: Range<Int>
    /// Length of the content.
    let byteCount: Int
    let isDeflated: Bool
    fileprivate let checksum: UInt32
  }

  private static let format = "zip"
  private let region: ByteRegion
  private let entries: [String: Entry]
  /// The text at the end of the file.
  let comment: String

  /// The names of all entries, sorted.
  var names: [String] { entries.keys.sorted() }

  /// Reads the directory and checks every entry's place, and the CRC-32 of those that are stored as they are.
  init(_ region: ByteRegion, allowsDeflated: Bool = false) throws(CheckpointError) {
    self.region = region
    let bytes = region.bytes
    let reader = Reader(bytes: bytes, path: region.path, allowsDeflated: allowsDeflated)
    let end = try reader.endRecord()
    let directory = try reader.directoryRange(endRecord: end)
    comment = String(decoding: bytes[(end + Reader.endRecordByteCount)...], as: UTF8.self)
    var position = directory.lowerBound
    var found: [(entry: Entry, headerOffset: Int)] = []
    while position < directory.upperBound {
      let record = try reader.record(at: &position, limit: directory.upperBound)
      found.append((try reader.entry(of: record), record.headerOffset))
    }
    found.sort { $0.headerOffset < $1.headerOffset }
    var last = 0
    var entries: [String: Entry] = [:]
    for (entry, headerOffset) in found {
      guard headerOffset >= last, entry.range.upperBound <= directory.lowerBound else {
        throw reader.malformed("entry '\(entry.name)' overlaps another one")
      }
      last = entry.range.upperBound
      guard entries.updateValue(entry, forKey: entry.name) == nil else {
        throw reader.malformed("two entries named '\(entry.name)'")
      }
      // Some writers leave the checksum out, and then it is zero.
      guard entry.isDeflated || entry.checksum == 0 || crc32(bytes.region(entry.range)) == entry.checksum else {
        throw reader.malformed("the content of entry '\(entry.name)' does not match its CRC-32")
      }
    }
    self.entries = entries
  }

  /// The byte range of an entry's content in the archive.
  /// - Precondition: Entries are not deflated: the archive was opened without allowing it.
  func range(of name: String) -> Range<Int>? { entries[name]?.range }

  /// The length of an entry's content, unpacked.
  func byteCount(of name: String) -> Int? { entries[name]?.byteCount }

  /// The first bytes of an entry's content, at most `limit`.
  func prefix(of name: String, limit: Int) throws(CheckpointError) -> [UInt8] {
    guard let entry = entries[name] else { return [] }
    guard entry.isDeflated else { return Array(region.bytes[entry.range].prefix(limit)) }
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: min(limit, entry.byteCount), alignment: 1)
    defer { output.deallocate() }
    output.initializeMemory(as: UInt8.self, repeating: 0)
    _ = try inflate(entry, into: output)
    return Array(output)
  }

  /// An entry's content: the archive's own bytes, or unpacked ones.
  /// - Throws: `CheckpointError` for damaged data, or where there is not enough memory to unpack it.
  func content(of name: String) throws(CheckpointError) -> (region: ByteRegion, range: Range<Int>)? {
    guard let entry = entries[name] else { return nil }
    guard entry.isDeflated else { return (region, entry.range) }
    let unpacked = try ByteRegion(byteCount: entry.byteCount, path: region.path) {
      (output) throws(CheckpointError) in
      let isComplete = try inflate(entry, into: output)
      let checksum = crc32(UnsafeRawBufferPointer(output))
      guard isComplete, entry.checksum == 0 || checksum == entry.checksum else {
        throw malformed("the content of entry '\(name)' does not match its length and CRC-32")
      }
    }
    return (unpacked, 0..<entry.byteCount)
  }

  /// Unpacks an entry's content, or as much of it as fits.
  /// - Returns: Whether it is exactly as long as `output`.
  private func inflate(_ entry: Entry, into output: UnsafeMutableRawBufferPointer) throws(CheckpointError) -> Bool {
    var (consumed, produced) = (0, 0)
    var reason: UnsafePointer<CChar>?
    // A pointer to nothing is none; the decoder wants one.
    var nothing: UInt8 = 0
    let status = withUnsafeMutablePointer(to: &nothing) { nothing in
      codec_inflate(
        region.bytes.region(entry.range).baseAddress?.assumingMemoryBound(to: UInt8.self), entry.range.count,
        output.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nothing, output.count, &consumed, &produced, &reason)
    }
    guard status != INFLATE_DAMAGED else {
      throw malformed("entry '\(entry.name)' is damaged: \(reason.map { String(cString: $0) } ?? "unknown")")
    }
    return status == INFLATE_COMPLETE && produced == output.count
  }

  private func malformed(_ detail: String) -> CheckpointError {
    CheckpointError(path: region.path, .malformed(format: Self.format, detail: detail))
  }

  /// Reads the records of the format, never outside the buffer.
  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    let path: String
    let allowsDeflated: Bool

    /// What the directory says of an entry.
    struct Record {
      let name: String
      let headerOffset: Int
      let byteCount: Int
      let storedByteCount: Int
      let isDeflated: Bool
      let checksum: UInt32
    }

    static let endRecordByteCount = 22
    /// No deflated data unpacks to more than this multiple of its length.
    private static let largestRatio = 1032

    func malformed(_ detail: String) -> CheckpointError {
      CheckpointError(path: path, .malformed(format: ZipArchive.format, detail: detail))
    }

    func unsupported(_ detail: String) -> CheckpointError {
      CheckpointError(path: path, .unsupported(detail: detail))
    }

    func value<Value: FixedWidthInteger>(_ offset: Int, _ type: Value.Type) throws(CheckpointError) -> Value {
      guard offset >= 0, offset <= bytes.count - MemoryLayout<Value>.size else {
        throw malformed("a record at byte \(offset) runs past the end of \(bytes.count) bytes; the file is cut short")
      }
      return bytes.littleEndian(at: offset, as: type)
    }

    /// Where the record at the end of the file begins.
    func endRecord() throws(CheckpointError) -> Int {
      guard bytes.count >= Self.endRecordByteCount else { throw malformed("\(bytes.count) bytes are too short") }
      // The record is the last thing in the file but for a comment of at most 64 KiB.
      var end = bytes.count - Self.endRecordByteCount
      let first = max(0, end - 0xFFFF)
      while try value(end, UInt32.self) != 0x0605_4B50 {
        guard end > first else { throw malformed("no end-of-directory record; the file is cut short") }
        end -= 1
      }
      return end
    }

    /// Where the central directory lies.
    func directoryRange(endRecord end: Int) throws(CheckpointError) -> Range<Int> {
      var count = UInt64(try value(end + 12, UInt32.self))
      var start = UInt64(try value(end + 16, UInt32.self))
      var limit = end
      if end >= 20, try value(end - 20, UInt32.self) == 0x0706_4B50 {
        // Zip64: a locator points at a record with 64-bit fields.
        let record = Int(exactly: try value(end - 20 + 8, UInt64.self)) ?? -1
        guard record >= 0, record <= end - 20 - 56, try value(record, UInt32.self) == 0x0606_4B50 else {
          throw malformed("the zip64 end-of-directory record is missing")
        }
        count = try value(record + 40, UInt64.self)
        start = try value(record + 48, UInt64.self)
        limit = record
      }
      guard start <= UInt64(limit), count <= UInt64(limit) - start else {
        throw malformed("the directory lies outside the file; the file is cut short")
      }
      return Int(start)..<Int(start + count)
    }

    /// The directory entry at `position`, which moves on to the next.
    func record(at position: inout Int, limit: Int) throws(CheckpointError) -> Record {
      guard position <= limit - 46, try value(position, UInt32.self) == 0x0201_4B50 else {
        throw malformed("the directory is damaged at byte \(position)")
      }
      let nameStart = position + 46
      let nameEnd = nameStart + Int(try value(position + 28, UInt16.self))
      let extraEnd = nameEnd + Int(try value(position + 30, UInt16.self))
      let entryEnd = extraEnd + Int(try value(position + 32, UInt16.self))
      guard entryEnd <= limit else { throw malformed("the directory is damaged at byte \(position)") }
      guard let name = String(validating: bytes[nameStart..<nameEnd], as: UTF8.self) else {
        throw malformed("an entry's name is not UTF-8")
      }
      guard try value(position + 8, UInt16.self) & 1 == 0 else { throw unsupported("the encrypted entry '\(name)'") }
      let method = try value(position + 10, UInt16.self)
      let isDeflated = method == 8 && allowsDeflated
      guard method == 0 || isDeflated else { throw unsupported("the compressed entry '\(name)'") }
      var fields = [
        UInt64(try value(position + 24, UInt32.self)), UInt64(try value(position + 20, UInt32.self)),
        UInt64(try value(position + 42, UInt32.self)),
      ]
      try widen(&fields, extra: nameEnd..<extraEnd)
      guard isDeflated || fields[0] == fields[1] else { throw malformed("entry '\(name)' has two lengths") }
      guard let byteCount = Int(exactly: fields[0]), let storedByteCount = Int(exactly: fields[1]),
        let headerOffset = Int(exactly: fields[2])
      else { throw malformed("entry '\(name)' lies outside the file") }
      guard byteCount / Self.largestRatio <= storedByteCount else {
        throw malformed("entry '\(name)' cannot unpack to \(byteCount) bytes")
      }
      let checksum = try value(position + 16, UInt32.self)
      position = entryEnd
      return Record(
        name: name, headerOffset: headerOffset, byteCount: byteCount, storedByteCount: storedByteCount,
        isDeflated: isDeflated, checksum: checksum)
    }

    /// Replaces the fields that are too large for 32 bits (all ones) by those of the zip64 extra field, in order:
    /// length, stored length, header offset.
    private func widen(_ fields: inout [UInt64], extra: Range<Int>) throws(CheckpointError) {
      var position = extra.lowerBound
      while position + 4 <= extra.upperBound {
        let identifier = try value(position, UInt16.self)
        let end = position + 4 + Int(try value(position + 2, UInt16.self))
        guard end <= extra.upperBound else { throw malformed("an extra field at byte \(position) is damaged") }
        if identifier == 1 {
          var next = position + 4
          for index in fields.indices where fields[index] == 0xFFFF_FFFF {
            guard next + 8 <= end else { throw malformed("the zip64 field at byte \(position) is too short") }
            fields[index] = try value(next, UInt64.self)
            next += 8
          }
        }
        position = end
      }
    }

    /// The entry, whose content lies behind its local header.
    func entry(of record: Record) throws(CheckpointError) -> Entry {
      let header = record.headerOffset
      guard header <= bytes.count - 30, try value(header, UInt32.self) == 0x0403_4B50 else {
        throw malformed("entry '\(record.name)' has no header at byte \(header)")
      }
      let start = header + 30 + Int(try value(header + 26, UInt16.self)) + Int(try value(header + 28, UInt16.self))
      guard start <= bytes.count, record.storedByteCount <= bytes.count - start else {
        throw malformed("entry '\(record.name)' runs past the end; the file is cut short")
      }
      return Entry(
        name: record.name, range: start..<start + record.storedByteCount, byteCount: record.byteCount,
        isDeflated: record.isDeflated, checksum: record.checksum)
    }
  }
}

/// The CRC-32 of zip files (polynomial 0x04C11DB7, reflected).
/// - Parameter previous: The checksum of what stands before these bytes.
func crc32(_ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0) -> UInt32 {
  crcTables.withUnsafeBufferPointer { tables in
    var crc = ~previous
    var position = 0
    // Eight bytes per round: table k holds the effect of a byte that k more bytes follow.
    while position + 8 <= bytes.count {
      let block = bytes.littleEndian(at: position, as: UInt64.self) ^ UInt64(crc)
      crc = 0
      for byte in 0..<8 { crc ^= tables[(7 - byte) * 256 + Int(block >> (8 * UInt64(byte)) & 0xFF)] }
      position += 8
    }
    while position < bytes.count {
      crc = crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[position])) & 0xFF)]
      position += 1
    }
    return ~crc
  }
}

private let crcTables: [UInt32] = {
  var tables = [UInt32](repeating: 0, count: 8 * 256)
  for index in 0..<256 {
    var crc = UInt32(index)
    for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    tables[index] = crc
  }
  for index in 256..<8 * 256 { tables[index] = tables[index - 256] >> 8 ^ tables[Int(tables[index - 256] & 0xFF)] }
  return tables
}()
