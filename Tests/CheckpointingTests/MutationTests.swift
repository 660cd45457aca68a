import Foundation
import Testing

@testable import Checkpointing

/// Damaged files by the hundred thousand: whatever the bytes, a reader answers with tensors or an error.
///
/// Each test runs in a process of its own: a crash shows in its exit status, a hang in the time limit, and too large an
/// allocation in its peak memory, which may grow by a fixed allowance only, because every input is small.
@Suite(.serialized)
struct MutationTests {
  static let seed: UInt64 = 20_260_117

  /// Bytes that parsers stumble over, beside random ones.
  static let awkwardBytes: [UInt8] = [0, 1, 2, 7, 8, 0x7F, 0x80, 0xFE, 0xFF] + Array("{}[]\":,-09e\\(".utf8)

  /// `original` with one to eight random changes: bytes replaced, runs removed, repeated or inserted, lengths made
  /// huge, the end cut off.
  static func mutated(_ original: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      guard !bytes.isEmpty else { break }
      let position = Int.random(in: 0..<bytes.count, using: &random)
      let end = min(bytes.count, position + Int.random(in: 1...16, using: &random))
      switch Int.random(in: 0..<16, using: &random) {
      case 0..<5: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 5..<8: bytes[position] = Self.awkwardBytes.randomElement(using: &random) ?? 0
      case 8: bytes[position] = UInt8.random(in: 0...255, using: &random)
      case 9: for index in position..<end { bytes[index] = 0xFF }
      case 10: for index in position..<end { bytes[index] = 0 }
      case 11: bytes.removeSubrange(position..<end)
      case 12: bytes.insert(contentsOf: Array(bytes[position..<end]), at: position)
      case 13: bytes.replaceSubrange(position..<end, with: bytes.shuffled(using: &random).prefix(4))
      case 14: bytes.insert(contentsOf: "9223372036854775807".utf8, at: position)
      default: if Int.random(in: 0..<4, using: &random) == 0 { bytes.removeSubrange(position...) }
      }
    }
    return bytes
  }

  /// Opens the bytes and reads every tensor.
  /// - Returns: Whether the file was accepted.
  static func read(_ open: () throws(CheckpointError) -> any TensorFile) -> Bool {
    do {
      let file = try open()
      for tensor in file.tensors {
        if tensor.elementType.isFloatingPoint {
          _ = try file.floats(tensor.name)
        } else {
          _ = try file.withBytes(of: tensor.name) { $0.count }
        }
      }
      return true
    } catch {
      return false
    }
  }

  /// Runs `count` cases and checks that both answers came up and memory stayed.
  static func run(
    _ count: Int, on originals: [[UInt8]], _ open: ([UInt8]) throws(CheckpointError) -> any TensorFile
  ) throws {
    for original in originals {
      try #require(read { () throws(CheckpointError) in try open(original) }, "the original must be good")
    }
    var random = SeededGenerator(state: seed)
    var acceptedCount = 0
    let peakBefore = try peakMemory()
    for index in 0..<count {
      let bytes = mutated(originals[index % originals.count], using: &random)
      if read({ () throws(CheckpointError) in try open(bytes) }) { acceptedCount += 1 }
    }
    #expect(acceptedCount > 0, "no mutation was harmless: they never get past the first check")
    #expect(acceptedCount < count / 2, "most mutations go unnoticed")
    #expect(try peakMemory() - peakBefore < 32 << 20)
  }

  @Test(.timeLimit(.minutes(10)))
  func damagedSafetensorsFilesAreReadOrRefused() async {
    await #expect(processExitsWith: .success) {
      let header = """
        {"__metadata__":{"kind":"x\\n","e":"é"},"a.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},\
        "b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},"c":{"dtype":"I64","shape":[],"data_offsets":[22,30]}}
        """
      let originals = [
        SafetensorsTests.file(header, dataCount: 30),
        SafetensorsTests.file(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, dataCount: 1),
      ]
      try Self.run(40_000, on: originals) { (bytes) throws(CheckpointError) in try Safetensors(bytes: bytes) }
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func damagedZipArchivesAreReadOrRefused() async {
    await #expect(processExitsWith: .success) {
      let entries = [(name: "x/data.pkl", content: Self.pickle(Self.smallPickle)), ("x/data/0", Array(1...8))]
      let originals = [false, true].map { StoredZip(entries: entries, isZip64: $0).bytes }
      try Self.run(30_000, on: originals) { (bytes) throws(CheckpointError) in try PyTorchFile(bytes: bytes) }
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func damagedPicklesAreReadOrRefused() async {
    await #expect(processExitsWith: .success) {
      // Damage to the pickle alone, in a container that is in order: the checksum would catch it otherwise.
      let originals = [Self.pickle(Self.smallPickle), Self.pickle(Self.largerPickle)]
      try Self.run(40_000, on: originals) { (bytes) throws(CheckpointError) in
        let container = StoredZip(entries: [("x/data.pkl", bytes), ("x/data/0", Array(1...8))])
        return try PyTorchFile(bytes: container.bytes)
      }
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func damagedFilesOfTheOlderLayoutAreReadOrRefused() async {
    await #expect(processExitsWith: .success) {
      let original = [UInt8](try Data(contentsOf: URL(filePath: PyTorchFileTests.fixture("legacy.pth"))))
      try Self.run(10_000, on: [original]) { (bytes) throws(CheckpointError) in try PyTorchFile(bytes: bytes) }
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func damagedNumPyArchivesAreReadOrRefused() async {
    await #expect(processExitsWith: .success) {
      let originals = try ["stored", "deflated"].map {
        [UInt8](try Data(contentsOf: URL(filePath: NumPyArchiveTests.fixture($0))))
      }
      try Self.run(20_000, on: originals) { (bytes) throws(CheckpointError) in try NumPyArchive(bytes: bytes) }
    }
  }

  static func pickle(_ body: (inout PickleText) -> Void) -> [UInt8] {
    var pickle = PickleText()
    pickle.raw("}(")
    body(&pickle)
    pickle.raw("u.")
    return pickle.bytes
  }

  static func smallPickle(_ pickle: inout PickleText) {
    pickle.text("w")
    pickle.tensor(storage: "0", count: 2, shape: [2, 1], strides: [1, 2])
  }

  static func largerPickle(_ pickle: inout PickleText) {
    smallPickle(&pickle)
    pickle.text("state_dict")
    pickle.global("collections", "OrderedDict")
    pickle.raw(")Rq")
    pickle.raw(1)
    pickle.raw("(")
    pickle.text("v")
    pickle.tensor(storage: "0", count: 2, offset: 1, shape: [1, 3], strides: [1, 0])
    pickle.text("list")
    pickle.raw("](K")
    pickle.raw(5)
    pickle.raw("NG")
    pickle.raw(1, 2, 3, 4, 5, 6, 7, 8)
    pickle.raw("eu")
    pickle.text("again")
    pickle.raw("h")
    pickle.raw(1)
  }

  /// The largest amount of memory that this process ever had, in bytes.
  static func peakMemory() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.filter(\.isNumber))) * 1024
  }
}
