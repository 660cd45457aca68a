import Foundation
import Testing

@testable import Checkpointing

struct PyTorchFileTests {
  static func fixture(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)").path()
  }

  /// The rule of `make_fixtures.py` for element `index` of tensor `number`.
  static func value(_ number: Int, _ index: Int) -> Int { (37 * index + number) % 101 - 50 }

  static func floats(_ number: Int, _ indices: some Sequence<Int>) -> [Float] {
    indices.map { Float(value(number, $0)) / 8 }
  }

  static func integers(_ number: Int, plus: Int = 0) -> [Int32] { (0..<5).map { Int32(value(number, $0) + plus) } }

  static func failure(_ bytes: [UInt8], section: String? = nil) -> String {
    do {
      let file = try PyTorchFile(bytes: bytes, path: "bad.pt", section: section)
      return "accepted \(file.names)"
    } catch {
      return error.description
    }
  }

  @Test(arguments: ["checkpoint.ckpt", "legacy.pth"])
  func everyTensorOfAFileByPyTorchIsReadExactly(name: String) throws {
    let file = try WeightFile.open(Self.fixture(name))
    #expect(
      file.names == [
        "bool", "brain", "byte", "char", "conv.weight", "double", "empty", "expanded", "half", "int", "long", "scalar",
        "short", "slice", "tied", "transposed",
      ])
    #expect(try file.shape(of: "conv.weight") == [3, 2, 3, 3])
    #expect(try file.floats("conv.weight") == Self.floats(0, 0..<54))
    #expect(try file.floats("tied") == Self.floats(1, 0..<24))
    #expect(try file.shape(of: "transposed") == [6, 4])
    #expect(try file.floats("transposed") == Self.floats(1, (0..<24).map { $0 % 4 * 6 + $0 / 4 }))
    #expect(try file.shape(of: "slice") == [2, 3])
    #expect(try file.floats("slice") == Self.floats(1, [8, 9, 10, 14, 15, 16]))
    #expect(try file.floats("expanded") == Self.floats(2, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]))
    #expect(try file.shape(of: "scalar") == [])
    #expect(try file.floats("scalar") == Self.floats(3, [0]))
    #expect(try file.shape(of: "empty") == [0, 5])
    #expect(try file.floats("empty") == [])
    #expect(try file.floats("half") == Self.floats(5, 0..<7))
    #expect(try file.floats("brain") == Self.floats(6, 0..<7))
    #expect(try file.floats("double") == Self.floats(7, 0..<7))
    #expect(try file.int32s("long") == Self.integers(8))
    #expect(try file.int32s("int") == Self.integers(9))
    #expect(try file.int32s("short") == Self.integers(10))
    #expect(try file.int32s("char") == Self.integers(11))
    #expect(try file.int32s("byte") == Self.integers(12, plus: 50))
    #expect(try file.int32s("bool") == [1, 0, 1, 0, 1])
    #expect(file.description(of: "brain")?.elementType == .bfloat16)
  }

  @Test func sectionsAndPlainValuesOfATrainersFileAreFound() throws {
    let path = Self.fixture("checkpoint.ckpt")
    let file = try PyTorchFile(path: path)
    #expect(file.sections == ["state_dict", "optimizer_states"])
    #expect(file.metadata["epoch"] == "3")
    #expect(file.metadata["global_step"] == "70000")
    #expect(file.metadata["framework"] == "probe")
    let optimizer = try PyTorchFile(path: path, section: "optimizer_states")
    #expect(optimizer.names == ["0.state.0.exp_avg"])
    #expect(try optimizer.floats("0.state.0.exp_avg") == Self.floats(20, 0..<4))
    let error = #expect(throws: CheckpointError.self) { try PyTorchFile(path: path, section: "model_ema") }
    #expect(error?.description.contains("no section 'model_ema'") == true)
  }

  @Test func aPickleThatRunsACommandIsRefusedByName() throws {
    let path = Self.fixture("malicious.pt")
    #expect(throws: CheckpointError(path: path, .refusedGlobal(name: "posix.system"))) { try WeightFile.open(path) }
    let handmade = PickleText.file { pickle in
      pickle.text("weight")
      pickle.global("os", "system")
      pickle.text("true")
      pickle.raw(0x85)
      pickle.raw("R")
    }
    #expect(Self.failure(handmade).contains("'os.system'"))
    for (module, name) in [("builtins", "eval"), ("builtins", "getattr"), ("torch.hub", "load"), ("my.net", "Net")] {
      let file = PickleText.file { pickle in
        pickle.text("x")
        pickle.text(module)
        pickle.text(name)
        pickle.raw(0x93)  // STACK_GLOBAL
      }
      #expect(Self.failure(file).contains("'\(module).\(name)'"))
    }
  }

  @Test(arguments: ["checkpoint.ckpt", "legacy.pth"])
  func aFileCutShortAnywhereIsRefused(name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: Self.fixture(name))))
    for count in stride(from: 0, to: bytes.count, by: 13) {
      let message = Self.failure(Array(bytes.prefix(count)))
      #expect(!message.hasPrefix("accepted"), "\(count) of \(bytes.count) bytes")
    }
    #expect(Self.failure(Array(bytes.dropLast())).contains("cut short"))
  }

  @Test func aFlippedByteInAStorageIsFoundByItsChecksum() throws {
    var bytes = PickleText.file(storages: ["0": Array(1...8)]) { pickle in
      pickle.text("weight")
      pickle.tensor(storage: "0", count: 2, shape: [2], strides: [1])
    }
    #expect(Self.failure(bytes).hasPrefix("accepted"))
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: 1...8) })
    bytes[start] ^= 4
    #expect(Self.failure(bytes).contains("'x/data/0' does not match its CRC-32"))
  }

  @Test(arguments: [
    (offset: 0, shape: [3], strides: [1], "past the end"), (offset: 1, shape: [2], strides: [1], "past the end"),
    (offset: 0, shape: [2], strides: [2], "past the end"), (offset: .max, shape: [2], strides: [1], "past the end"),
    (offset: 0, shape: [2], strides: [.max], "past the end"),
    (offset: 0, shape: [1 << 40], strides: [0], "larger than the file"),
    (offset: 0, shape: [1 << 40, 1 << 40], strides: [0, 0], "impossible shape"),
    (offset: -1, shape: [2], strides: [1], "are not (storage"), (offset: 0, shape: [2], strides: [1, 1], "are not"),
    (offset: 0, shape: [-2], strides: [1], "are not"), (offset: 0, shape: [2], strides: [-1], "are not"),
    (offset: .max, shape: [0, 1 << 40], strides: [.max, .max], "accepted"),
    (offset: 0, shape: [1, 2, 1], strides: [.max, 1, .max], "accepted"),
    (offset: 1, shape: [1, 3], strides: [.max, 0], "accepted"),
  ])
  func tensorsStayWithinTheirStorage(offset: Int, shape: [Int], strides: [Int], expected: String) throws {
    let bytes = PickleText.file(storages: ["0": Array(1...8)]) { pickle in
      pickle.text("weight")
      pickle.tensor(storage: "0", count: 2, offset: offset, shape: shape, strides: strides)
    }
    #expect(Self.failure(bytes).contains(expected), "\(Self.failure(bytes))")
    if expected == "accepted" {
      let file = try PyTorchFile(bytes: bytes)
      #expect(try file.floats("weight").count == shape.reduce(1, { $0 &* $1 }))
    }
  }

  @Test func storagesMustBeThereAtTheirLength() {
    func file(storages: [String: [UInt8]]) -> [UInt8] {
      PickleText.file(storages: storages) { pickle in
        pickle.text("weight")
        pickle.tensor(storage: "0", count: 2, shape: [2], strides: [1])
      }
    }
    #expect(Self.failure(file(storages: [:])).contains("'0' is missing"))
    #expect(Self.failure(file(storages: ["0": [1, 2, 3]])).contains("has 3 bytes"))
  }

  @Test func circlesAndMultiplyingContainersEnd() {
    // d = {}; d["d"] = d
    var circle = PickleText()
    circle.raw("}q")
    circle.raw(0)
    circle.text("d")
    circle.raw("h")
    circle.raw(0)
    circle.raw("s.")
    #expect(Self.failure(StoredZip(entries: [("x/data.pkl", circle.bytes)]).bytes).contains("circle"))

    // Fifteen levels of lists, each holding the one below sixteen times: 16^15 paths to a tensor.
    var laughs = PickleText()
    laughs.raw("]q")
    laughs.raw(0)
    for level in 1..<15 as Range<UInt8> {
      laughs.raw("](")
      for _ in 0..<16 {
        laughs.raw("h")
        laughs.raw(level - 1)
      }
      laughs.raw("eq")
      laughs.raw(level)
    }
    laughs.raw(".")
    #expect(Self.failure(StoredZip(entries: [("x/data.pkl", laughs.bytes)]).bytes).contains("nested too deeply"))

    // A list of pairs copied into a thousand dictionaries.
    var copies = PickleText()
    copies.raw("](")
    for _ in 0..<1_000 {
      copies.raw("NN")
      copies.raw(0x86)
    }
    copies.raw("eq")
    copies.raw(0)
    for _ in 0..<1_000 {
      copies.global("collections", "OrderedDict")
      copies.raw("h")
      copies.raw(0)
      copies.raw(0x85)
      copies.raw("R0")
    }
    copies.raw(".")
    #expect(Self.failure(StoredZip(entries: [("x/data.pkl", copies.bytes)]).bytes).contains("more dictionary items"))
  }

  @Test func deepNestingIsNotFollowed() {
    var pickle = PickleText()
    for _ in 0..<500_000 { pickle.raw("]") }
    for _ in 0..<499_999 { pickle.raw("a") }
    pickle.raw(".")
    #expect(Self.failure(StoredZip(entries: [("x/data.pkl", pickle.bytes)]).bytes).contains("nested too deeply"))
  }

  @Test func filesOfAnotherKindAreNamed() throws {
    #expect(Self.failure(Array("GIF89a".utf8)).contains("neither a zip archive"))
    #expect(Self.failure([]).contains("neither a zip archive"))
    let script = StoredZip(entries: [("x/data.pkl", [0x80, 2, 0x7D, 0x2E]), ("x/constants.pkl", [])]).bytes
    #expect(Self.failure(script).contains("TorchScript"))
    let bigEndian = StoredZip(entries: [("x/data.pkl", [0x80, 2, 0x7D, 0x2E]), ("x/byteorder", Array("big".utf8))])
    #expect(Self.failure(bigEndian.bytes).contains("big-endian"))
    let empty = StoredZip(entries: [("x/data.pkl", [0x80, 2, 0x7D, 0x2E])]).bytes
    #expect(Self.failure(empty).contains("no tensor"))
  }
}
