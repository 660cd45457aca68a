import Crypto
import Foundation
import Testing

@testable import Checkpointing

struct UncachedFileTests {
  /// Blocks of 8 MiB go beside the page cache where the file system can; a memory file system may not.
  @Test(arguments: [FileManager.default.temporaryDirectory.path(), "/dev/shm"])
  func everyByteOfSeveralBlocksArrives(folder: String) throws {
    guard FileSystem.isDirectory(folder) else { return print("skipped: there is no \(folder)") }
    var generator = SeededGenerator(state: 3)
    let words = (0..<(20 << 20) / 8).map { _ in generator.next() }
    let path = "\(folder)/uncached-\(UUID().uuidString)"
    defer { unlink(path) }
    // A header of odd length, and a rest that is no whole number of disk blocks.
    var expected = Data("header!".utf8)
    expected.append(words.withUnsafeBytes { Data($0) })
    let file = try HashingFile(creating: path)
    try file.write("header!")
    let failure = words.withUnsafeBytes { bytes -> CheckpointError? in
      do throws(CheckpointError) {
        let middle = 9_000_001
        try file.write(bytes.region(0..<middle))
        try file.write(bytes.region(middle..<bytes.count))
        return nil
      } catch { return error }
    }
    #expect(failure == nil)
    let written = try file.finish()
    #expect(written.byteCount == expected.count)
    #expect(written.sha256 == hexadecimal(SHA256.hash(data: expected)))
    #expect(try Data(contentsOf: URL(filePath: path)) == expected)
  }
}
