import Testing

@testable import Checkpointing

struct ZipArchiveTests {
  static func failure(_ bytes: [UInt8]) -> String {
    do {
      return "accepted \(try ZipArchive(ByteRegion(copying: bytes, path: "bad.zip")).names)"
    } catch {
      return error.description
    }
  }

  @Test(arguments: [false, true])
  func storedEntriesAreFound(isZip64: Bool) throws {
    let contents: [(name: String, content: [UInt8])] = [("a/b", Array(0...99)), ("é", []), ("c", [7])]
    let region = ByteRegion(copying: StoredZip(entries: contents, isZip64: isZip64).bytes, path: "x")
    let archive = try ZipArchive(region)
    #expect(archive.names == ["a/b", "c", "é"])
    for (name, content) in contents {
      let range = try #require(archive.range(of: name))
      #expect(Array(region.bytes[range]) == content)
    }
  }

  @Test func theChecksumAgreesWithThePublishedVector() {
    #expect(Array("123456789".utf8).withUnsafeBytes { crc32($0) } == 0xCBF4_3926)
    #expect(crc32(UnsafeRawBufferPointer(start: nil, count: 0)) == 0)
    // Every length up to several blocks, against one byte at a time.
    for count in 0..<40 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: 31 * $0 + 5) }
      var expected: UInt32 = 0xFFFF_FFFF
      for byte in bytes {
        expected ^= UInt32(byte)
        for _ in 0..<8 { expected = expected >> 1 ^ (expected & 1 == 1 ? 0xEDB8_8320 : 0) }
      }
      #expect(bytes.withUnsafeBytes { crc32($0) } == ~expected)
    }
  }

  @Test func damageIsNamed() throws {
    let zip = StoredZip(entries: [("a", [1, 2, 3]), ("b", [4])])
    let bytes = zip.bytes
    let directory = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
    func changed(_ offset: Int, _ value: UInt8) -> String {
      var copy = bytes
      copy[offset] = value
      return Self.failure(copy)
    }
    #expect(Self.failure([]).contains("too short"))
    #expect(Self.failure(Array(bytes.dropLast())).contains("no end-of-directory record"))
    #expect(Self.failure(Array(bytes.dropFirst())).contains("directory"))
    #expect(changed(directory + 8, 1).contains("encrypted entry 'a'"))
    #expect(changed(directory + 10, 8).contains("compressed entry 'a'"))
    #expect(changed(directory + 20, 9).contains("two lengths"))
    #expect(changed(directory + 16, 0x55).contains("'a' does not match its CRC-32"))
    #expect(changed(directory + 42, 1).contains("no header"))
    #expect(changed(directory + 46, 0xFF).contains("not UTF-8"))
    #expect(changed(directory + 28, 200).contains("directory is damaged"))
    #expect(changed(26, 200).contains("runs past the end"))
    #expect(
      Self.failure(StoredZip(entries: [("a", [1]), ("a", [2])]).bytes).contains("two entries named 'a'"))
  }

  @Test func overlappingEntriesAreRefused() throws {
    var bytes = StoredZip(entries: [("a", [1]), ("b", [1])]).bytes
    let second = try #require(bytes.indices.filter { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) }.last)
    bytes[second + 42] = 0
    #expect(Self.failure(bytes).contains("overlaps"))
  }
}
