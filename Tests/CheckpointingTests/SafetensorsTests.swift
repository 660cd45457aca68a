import Foundation
import Testing

@testable import Checkpointing

struct SafetensorsTests {
  /// A file with the given header text and number of data bytes, counting up from zero.
  static func file(_ header: String, dataCount: Int = 0) -> [UInt8] {
    let text = Array(header.utf8)
    let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) }
    return length + text + (0..<dataCount).map { UInt8(truncatingIfNeeded: $0) }
  }

  static func failure(_ bytes: [UInt8]) -> String {
    do {
      _ = try Safetensors(bytes: bytes, path: "bad.safetensors")
      return "accepted"
    } catch {
      return error.description
    }
  }

  @Test func everyElementTypeIsConverted() throws {
    let header = """
      {"__metadata__":{"kind":"probe"},
       "half":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},
       "brain":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]},
       "double":{"dtype":"F64","shape":[],"data_offsets":[8,16]},
       "single":{"dtype":"F32","shape":[1,1],"data_offsets":[16,20]},
       "long":{"dtype":"I64","shape":[1],"data_offsets":[20,28]},
       "int":{"dtype":"I32","shape":[1],"data_offsets":[28,32]},
       "short":{"dtype":"I16","shape":[1],"data_offsets":[32,34]},
       "byte":{"dtype":"I8","shape":[1],"data_offsets":[34,35]},
       "unsigned":{"dtype":"U8","shape":[1],"data_offsets":[35,36]},
       "flag":{"dtype":"BOOL","shape":[2],"data_offsets":[36,38]}}
      """
    var bytes = Self.file(header)
    for half in [UInt16(0x3C00), 0xC100, 0x0001] { bytes += [UInt8(half & 0xFF), UInt8(half >> 8)] }
    bytes += [0x20, 0xC0]  // -2.5
    bytes += withUnsafeBytes(of: 0.1) { Array($0) }
    bytes += withUnsafeBytes(of: Float(3.25)) { Array($0) }
    bytes += withUnsafeBytes(of: Int64(-7)) { Array($0) }
    bytes += withUnsafeBytes(of: Int32(-8)) { Array($0) }
    bytes += withUnsafeBytes(of: Int16(-9)) { Array($0) }
    bytes += [0xF6, 0xF5, 0, 1]

    let file = try Safetensors(bytes: bytes)
    #expect(file.metadata == ["kind": "probe"])
    #expect(try file.floats("half") == [1, -2.5, 0x1p-24])
    #expect(try file.floats("brain") == [-2.5])
    #expect(try file.floats("double") == [0.1])
    #expect(try file.floats("single") == [3.25])
    #expect(try file.int32s("long") == [-7])
    #expect(try file.int32s("int") == [-8])
    #expect(try file.int32s("short") == [-9])
    #expect(try file.int32s("byte") == [-10])
    #expect(try file.int32s("unsigned") == [245])
    #expect(try file.int32s("flag") == [0, 1])
    #expect(try file.shape(of: "single") == [1, 1])
    #expect(try file.shape(of: "double") == [])
    #expect(file.names == file.names.sorted())
  }

  @Test func halfPrecisionAgreesWithTheHardwareForEveryBitPattern() {
    for bits in UInt16.min...UInt16.max {
      let expected = Float(Float16(bitPattern: bits))
      let found = float(halfBits: bits)
      #expect(found.bitPattern == expected.bitPattern || (found.isNaN && expected.isNaN))
    }
  }

  @Test func wrongRequestsAreNamed() throws {
    let file = try Safetensors(
      bytes: Self.file(#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, dataCount: 8), path: "x")
    #expect(throws: CheckpointError(path: "x", .missingTensor(name: "b"))) { try file.floats("b") }
    #expect(throws: CheckpointError(path: "x", .elementType(name: "a", expected: "floating point", found: "I64"))) {
      try file.floats("a")
    }
    #expect(throws: CheckpointError(path: "x", .integerOutOfRange(name: "a", value: 0x0706_0504_0302_0100))) {
      try file.int32s("a")
    }
  }

  @Test(arguments: [
    (
      #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
      "two tensors named 'a'"
    ),
    (
      #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
      "tensor 'b' overlaps 'a'"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#, "data_offsets [8, 4]"),
    (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#, "ends at byte 12 of 8"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "4 unused bytes before tensor 'a'"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "4 unused bytes at the end"),
    (#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#, "unknown dtype 'F31'"),
    (#"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}"#, "needs 16 bytes and has 8"),
    (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#, "impossible shape"),
    (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "expected a number"),
    (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, "too large"),
    (#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, "lacks"),
    (#"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "two 'dtype'"),
    (#"{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "two metadata"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} x"#, "text after the end"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, "expected '}'"),
    (#"{"a\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "surrogate"),
    (#"[]"#, "expected '{'"),
  ])
  func aBrokenHeaderIsRefusedWithItsReason(header: String, reason: String) {
    let message = Self.failure(Self.file(header, dataCount: 8))
    #expect(message.contains(reason), "\(message)")
    #expect(message.hasPrefix("bad.safetensors: "))
  }

  @Test func aHeaderLongerThanTheFileIsRefused() {
    #expect(Self.failure([1, 2, 3]).contains("too short"))
    #expect(Self.failure([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7B]).contains("claims"))
    #expect(Self.failure([3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D]).contains("claims 3 bytes"))
  }

  @Test func deepNestingIsRefusedWithoutRecursingIntoIt() {
    let deep = String(repeating: "[", count: 1_000_000)
    #expect(Self.failure(Self.file(#"{"a":{"x":\#(deep)"#)).contains("nesting deeper"))
  }

  @Test func invalidUnicodeIsRefused() {
    var bytes = Self.file(#"{"aXb":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#)
    bytes[11] = 0xFF
    #expect(Self.failure(bytes).contains("not UTF-8"))
  }

  @Test func escapesInNamesAreResolved() throws {
    let file = try Safetensors(
      bytes: Self.file(#"{"\u0041\n\"\ud83d\ude00é":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]}}"#))
    #expect(file.names == ["A\n\"😀é"])
    #expect(try file.floats(file.names[0]) == [])
  }

  @Test func missingFilesAndDirectoriesAreNamed() throws {
    #expect(throws: CheckpointError(path: "/nonexistent/x", .system(operation: "open", code: ENOENT))) {
      try Safetensors(path: "/nonexistent/x")
    }
    #expect(throws: CheckpointError.self) { try Safetensors(path: "/tmp") }
  }
}
