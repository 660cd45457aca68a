import Foundation
import Testing

@testable import Checkpointing

/// The folder of reference files; other test suites read their numbers, this one that all of them open.
struct ParityFileTests {
  static var folder: String {
    if let given = ProcessInfo.processInfo.environment["MERGEVQ_FIXTURES"] { return given }
    return URL(filePath: #filePath).appending(path: "../../../../shared/parity").standardizedFileURL.path()
  }

  @Test func everyReferenceFileOpensAndReads() throws {
    guard FileManager.default.fileExists(atPath: Self.folder) else {
      print("skipped: no reference files at \(Self.folder)")
      return
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".safetensors") }
    #expect(!files.isEmpty)
    for name in files {
      let file = try Safetensors(path: "\(Self.folder)/\(name)")
      #expect(file.metadata["kind"] != nil, "\(name)")
      for tensor in file.tensors where tensor.elementType.isFloatingPoint {
        #expect(try file.floats(tensor.name).count == tensor.elementCount)
      }
    }
  }
}
