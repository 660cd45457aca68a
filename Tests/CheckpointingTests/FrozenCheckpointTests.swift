import Foundation
import Testing

@testable import Checkpointing

/// Checkpoints as earlier versions of this program left them. Later versions must go on reading them.
///
/// `Fixtures/format-1` was written by `ToyModel(seed: 1).save(step: 12, ranges: [0..<10, 10..<10, 10..<35])`.
struct FrozenCheckpointTests {
  static let ranges = [0..<10, 10..<10, 10..<35]

  @Test func formatOneIsStillRead() throws {
    let folder = CheckpointFolder(runDirectory: PyTorchFileTests.fixture("format-1"))
    let selection = try folder.latestComplete()
    #expect(selection.rejected.isEmpty)
    let checkpoint = try #require(selection.checkpoint)
    #expect(checkpoint.manifest.step == 12)
    #expect(checkpoint.manifest.cursor == 192)
    #expect(checkpoint.manifest.worldSize == 3)
    #expect(checkpoint.manifest.recipe == "name: toy\n")
    #expect(checkpoint.manifest.state == #"{"epoch":3}"#)
    let model = ToyModel(seed: 1)
    #expect(checkpoint.mismatches(ofKind: "model", expecting: model.shapes).isEmpty)
    for kind in ["model", "optimizer"] {
      #expect(try model.restored(from: checkpoint, kind: kind, ranges: [0..<20, 20..<35]).bits == model.arena.bits)
    }
  }

  @Test func theFormatHasNotChangedUnderItsVersionNumber() throws {
    let scratch = try Scratch()
    try ToyModel(seed: 1).save(step: 12, ranges: Self.ranges, to: scratch.path)
    let directories = [PyTorchFileTests.fixture("format-1"), scratch.path].map { $0 + "/checkpoints/step-00000012" }
    let names = try FileSystem.names(in: directories[0])
    #expect(try FileSystem.names(in: directories[1]) == names)
    for name in names {
      let contents = directories.map { FileManager.default.contents(atPath: "\($0)/\(name)") }
      #expect(contents[0] == contents[1], "\(name)")
    }
  }
}
