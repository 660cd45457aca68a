import Foundation
import Testing

@testable import Checkpointing

struct NumPyArchiveTests {
  static func fixture(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/numpy-\(name).npz").path
  }

  static func failure(_ open: () throws -> Void) -> String {
    do {
      try open()
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test func arraysAreWrittenPieceByPieceAndReadBack() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/samples.npz"
    let values = (0..<2 * 3 * 5 * 3).map { UInt8($0 % 251) }
    let writer = try NumPyArchiveWriter(path: path, comment: #"{"é": 1}"#)
    try writer.begin("arr_0", shape: [2, 3, 5, 3])
    try writer.append(Array(values[..<17]))
    #expect(!FileManager.default.fileExists(atPath: path))
    try writer.append(Array(values[17...]))
    try writer.begin("mu", elementType: .float64, shape: [3])
    try writer.append(numbers: [1.5, -0.1, Double.pi])
    try writer.begin("one", elementType: .float32, shape: [])
    try writer.append(numbers: [Float(0.1)])
    try writer.finish()

    let archive = try NumPyArchive(path: path)
    #expect(archive.names == ["arr_0", "mu", "one"])
    #expect(archive.metadata == ["comment": #"{"é": 1}"#])
    #expect(archive.shapes == ["arr_0": [2, 3, 5, 3], "mu": [3], "one": []])
    let array = try archive.array("arr_0")
    #expect(array.bytes(0..<values.count) == values)
    #expect(array.bytes(45..<90) == Array(values[45...]))
    #expect(try archive.doubles("mu") == [1.5, -0.1, Double.pi])
    #expect(try archive.floats("one") == [0.1])
    // What other readers demand of the form, which this one is lenient about.
    let region = try ByteRegion(mapping: path)
    let content = Array(region.bytes[try #require(try ZipArchive(region).range(of: "arr_0.npy"))])
    let headerCount = Int(content[8]) + Int(content[9]) << 8
    #expect((10 + headerCount) % 64 == 0)
    let header = String(decoding: content[10..<10 + headerCount], as: UTF8.self)
    #expect(header.hasPrefix("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 5, 3), }"))
    #expect(header.hasSuffix("\n"))
  }

  @Test(arguments: ["stored", "deflated"])
  func whatNumPyWroteIsRead(name: String) throws {
    let archive = try NumPyArchive(path: Self.fixture(name))
    #expect(archive.names == ["arr_0", "count", "half", "mu", "single", "zeros"])
    #expect(archive.shapes["arr_0"] == [2, 3, 5, 3])
    #expect(try archive.array("arr_0").bytes(0..<90) == (0..<90).map { UInt8($0 % 251) })
    #expect(try archive.doubles("mu") == [0.5, -1.25, 1e-300])
    #expect(try archive.floats("half") == [1.5, -2])
    #expect(try archive.floats("single") == [0.1])
    #expect(try archive.int32s("count") == [-7, 1 << 20])
    #expect(try archive.floats("zeros") == Array(repeating: 0, count: 2000))
    #expect(archive.metadata.isEmpty)
  }

  @Test func whatCannotBeReadIsNamed() throws {
    for (name, text) in [
      ("objects", "array 'arr_0': elements of type '|O' is not supported"),
      ("fortran", "array 'sigma': Fortran order"), ("big-endian", "array 'mu': elements of type '>f8'"),
    ] {
      let message = Self.failure { _ = try NumPyArchive(path: Self.fixture(name)) }
      #expect(message.contains(text), "\(message)")
    }
    let archive = try NumPyArchive(path: Self.fixture("deflated"))
    #expect(Self.failure { _ = try archive.array("nu") }.contains("there is no tensor 'nu'"))

    func zip(_ header: String, _ content: [UInt8]) -> [UInt8] {
      let prefix = [0x93] + Array("NUMPY".utf8) + [1, 0] + littleEndian(UInt16(header.utf8.count))
      return StoredZip(entries: [(name: "x.npy", content: prefix + Array(header.utf8) + content)]).bytes
    }
    for (header, text) in [
      ("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "not as long as its shape [3]"),
      ("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }", "a shape that cannot be"),
      ("{'descr': '|u1', 'fortran_order': False, }", "lacks a key"),
      ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "structured elements"),
      ("{'descr': '|u1', 'descr': '|u1', 'shape': (2,), }", "second key 'descr'"),
      ("{'descr': '|u1', 'fortran_order': 0, 'shape': (2,)}", "no 'False'"),
    ] {
      let message = Self.failure { _ = try NumPyArchive(bytes: zip(header, [1, 2])) }
      #expect(message.contains(text), "\(message)")
    }
    let other = zip("{'shape':(2),'fortran_order':False,'descr':\"|u1\"}", [1, 2])
    #expect(try NumPyArchive(bytes: other).shapes["x"] == [2])
  }

  @Test func damageToDeflatedDataIsFoundWhenItIsRead() throws {
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: Self.fixture("deflated"))))
    // Behind the 128 bytes of the array's own header, which opening reads.
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("arr_0.npy".utf8)) })
    let found = (start + 100..<start + 160).map { position -> String in
      var damaged = bytes
      damaged[position] ^= 0x10
      return Self.failure { _ = try NumPyArchive(bytes: damaged).array("arr_0") }
    }
    #expect(found.allSatisfy { $0 != "accepted" }, "\(found.enumerated().filter { $0.element == "accepted" })")
    // A length that nothing so short can unpack to.
    let directory = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
    bytes.replaceSubrange(directory + 24..<directory + 28, with: littleEndian(UInt32(0x7000_0000)))
    #expect(Self.failure { _ = try NumPyArchive(bytes: bytes) }.contains("cannot unpack to"))
  }

  @Test func anUnfinishedArchiveLeavesNothing() throws {
    let scratch = try Scratch()
    do {
      let writer = try NumPyArchiveWriter(path: scratch.path + "/samples.npz")
      try writer.begin("arr_0", shape: [4])
      try writer.append([1, 2])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
  }

  @Test func aFolderThatIsNotThereIsNamed() throws {
    let error = #expect(throws: CheckpointError.self) { try NumPyArchiveWriter(path: "/no/such/x.npz") }
    #expect(error?.description.hasPrefix("/no/such/x.npz") == true)
  }
}
