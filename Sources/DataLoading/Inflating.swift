import CImageCodecs

/// Unpacks gzip files and zlib streams.
enum Inflating {
  /// Metadata is never larger; a small file may claim to hold gigabytes.
  static let sizeLimit = 1 << 28

  /// The content of a gzip file (RFC 1952) with one or more members.
  /// - Throws: `DataError` when it is damaged or holds more than `sizeLimit` bytes.
  static func gzip(_ bytes: [UInt8], name: String, sizeLimit: Int = sizeLimit) throws(DataError) -> [UInt8] {
    var content: [UInt8] = []
    var at = 0
    repeat {
      at = try gzipHeaderEnd(bytes, from: at, name: name)
      let (member, end) = try inflate(bytes, from: at, name: name, sizeLimit: sizeLimit - content.count)
      guard end + 8 <= bytes.count else { throw damaged(name, "it ends before its checksum") }
      guard littleEndian32(bytes, at: end) == codec_crc32(0, member, member.count),
        littleEndian32(bytes, at: end + 4) == UInt32(truncatingIfNeeded: member.count)
      else { throw damaged(name, "its checksum is wrong") }
      content += member
      at = end + 8
    } while at < bytes.count && bytes[at] != 0  // some tools fill up with zeros
    return content
  }

  /// The content of a zlib stream (RFC 1950).
  static func zlib(_ bytes: [UInt8], name: String, sizeLimit: Int = sizeLimit) throws(DataError) -> [UInt8] {
    guard bytes.count >= 6, bytes[0] & 15 == 8, (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0, bytes[1] & 0x20 == 0
    else { throw damaged(name, "no zlib header") }
    let (content, end) = try inflate(bytes, from: 2, name: name, sizeLimit: sizeLimit)
    guard end + 4 <= bytes.count,
      littleEndian32(bytes, at: end).byteSwapped == codec_adler32(content, content.count)
    else { throw damaged(name, "its checksum is wrong") }
    return content
  }

  /// Unpacks one deflate stream into memory that grows as needed.
  private static func inflate(
    _ bytes: [UInt8], from start: Int, name: String, sizeLimit: Int
  ) throws(DataError) -> (content: [UInt8], end: Int) {
    var capacity = min(max((bytes.count - start) * 4, 1 << 16), sizeLimit)
    while true {
      var (consumed, produced) = (0, 0)
      var reason: UnsafePointer<CChar>?
      var status = INFLATE_COMPLETE
      let content = [UInt8](unsafeUninitializedCapacity: capacity) { output, count in
        bytes.withUnsafeBufferPointer { input in
          status = codec_inflate(
            input.baseAddress?.advanced(by: start), input.count - start, output.baseAddress, capacity, &consumed,
            &produced, &reason)
        }
        count = produced
      }
      switch status {
      case INFLATE_COMPLETE: return (content, start + consumed)
      case INFLATE_FULL:
        guard capacity < sizeLimit else { throw damaged(name, "it unpacks to more than \(sizeLimit) bytes") }
        capacity = min(capacity * 4, sizeLimit)
      default: throw damaged(name, reason.map { String(cString: $0) } ?? "damaged")
      }
    }
  }

  private static func gzipHeaderEnd(_ bytes: [UInt8], from start: Int, name: String) throws(DataError) -> Int {
    let short = damaged(name, "it ends inside a gzip header")
    guard bytes.count - start >= 18 else { throw short }
    guard bytes[start] == 0x1F, bytes[start + 1] == 0x8B, bytes[start + 2] == 8 else {
      throw damaged(name, "no gzip header")
    }
    let flags = bytes[start + 3]
    var at = start + 10
    if flags & 4 != 0 {  // extra fields
      guard at + 2 <= bytes.count else { throw short }
      at += 2 + Int(bytes[at]) + Int(bytes[at + 1]) << 8
    }
    for text in [8, 16] as [UInt8] where flags & text != 0 {  // file name, comment
      while at < bytes.count, bytes[at] != 0 { at += 1 }
      at += 1
    }
    if flags & 2 != 0 { at += 2 }  // checksum of the header
    guard at < bytes.count else { throw short }
    return at
  }

  private static func damaged(_ name: String, _ detail: String) -> DataError {
    DataError(path: name, reason: .unreadable(detail: "damaged compressed data: \(detail)"))
  }
}

/// Four bytes, lowest first.
func littleEndian32(_ bytes: some RandomAccessCollection<UInt8>, at offset: Int) -> UInt32 {
  var value: UInt32 = 0
  for index in (0..<4).reversed() {
    value = value << 8 | UInt32(bytes[bytes.index(bytes.startIndex, offsetBy: offset + index)])
  }
  return value
}
