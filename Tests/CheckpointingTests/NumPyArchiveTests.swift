import Foundation
import Testing

@testable import Checkpointing

struct NumPyArchiveTests {
  @Test func anArrayOfBytesIsWrittenPieceByPiece() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/samples.npz"
    let values = (0..<2 * 3 * 5 * 3).map { UInt8($0 % 251) }
    let writer = try NumPyArchiveWriter(path: path, shape: [2, 3, 5, 3])
    try writer.append(Array(values[..<17]))
    #expect(!FileManager.default.fileExists(atPath: path))
    try writer.append(Array(values[17...]))
    try writer.finish()

    let region = try ByteRegion(mapping: path)
    // The archive's own reader checks the CRC-32, lengths and places.
    let archive = try ZipArchive(region)
    #expect(archive.names == ["arr_0.npy"])
    let content = Array(region.bytes[try #require(archive.range(of: "arr_0.npy"))])
    #expect(Array(content.prefix(8)) == [0x93] + Array("NUMPY".utf8) + [1, 0])
    let headerCount = Int(content[8]) + Int(content[9]) << 8
    #expect((10 + headerCount) % 64 == 0)
    let header = String(decoding: content[10..<10 + headerCount], as: UTF8.self)
    #expect(header.hasPrefix("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 5, 3), }"))
    #expect(header.hasSuffix("\n"))
    #expect(Array(content[(10 + headerCount)...]) == values)
  }

  @Test func anUnfinishedArchiveLeavesNothing() throws {
    let scratch = try Scratch()
    do {
      let writer = try NumPyArchiveWriter(path: scratch.path + "/samples.npz", shape: [4])
      try writer.append([1, 2])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
  }

  @Test func aFolderThatIsNotThereIsNamed() throws {
    let error = #expect(throws: CheckpointError.self) { try NumPyArchiveWriter(path: "/no/such/x.npz", shape: [1]) }
    #expect(error?.description.hasPrefix("/no/such/x.npz") == true)
  }
}
