import Foundation
import Testing

@testable import Checkpointing

struct CheckpointRoundTripTests {
  /// Ranges that differ in size, cut through parameters, and are empty in places; together they are 0..<35.
  static let divisions: [[Range<Int>]] = [
    [0..<35],
    [0..<4, 4..<4, 4..<35],
    [0..<1, 1..<35],
    [0..<16, 16..<22, 22..<22, 22..<35],
    (0..<35).map { $0..<$0 + 1 },
  ]

  @Test(arguments: divisions, divisions)
  func anyNumberOfShardsLoadsIntoAnyNumberOfRanks(written: [Range<Int>], read: [Range<Int>]) throws {
    let scratch = try Scratch()
    let model = ToyModel()
    try #require(model.arena.count == 35)
    try model.save(step: 12, ranges: written, to: scratch.path)
    let checkpoint = try CheckpointReader(directory: CheckpointFolder(runDirectory: scratch.path).directory(ofStep: 12))
    try checkpoint.verify()
    for kind in ["model", "optimizer"] {
      #expect(try model.restored(from: checkpoint, kind: kind, ranges: read).bits == model.arena.bits)
    }
    #expect(checkpoint.manifest.worldSize == written.count)
    #expect(checkpoint.manifest.cursor == 192)
    #expect(checkpoint.manifest.recipe == "name: toy\n")
    #expect(checkpoint.manifest.state == #"{"epoch":3}"#)
    #expect(checkpoint.kinds == ["model", "optimizer"])
    #expect(checkpoint.shapes(ofKind: "model") == model.shapes)
  }

  @Test func oneToThreeToTwoShardsKeepsEveryBit() throws {
    let scratch = try Scratch()
    var model = ToyModel(seed: 5)
    let original = model.arena.bits
    for (step, ranges) in [[0..<35], [0..<10, 10..<10, 10..<35], [0..<34, 34..<35]].enumerated() {
      try model.save(step: step, ranges: ranges, to: scratch.path)
      let folder = CheckpointFolder(runDirectory: scratch.path)
      let checkpoint = try #require(try folder.latestComplete().checkpoint)
      #expect(checkpoint.manifest.step == step)
      model.arena = try model.restored(from: checkpoint, kind: "model", ranges: [0..<7, 7..<35])
    }
    #expect(model.arena.bits == original)
  }

  @Test func savingTheSameTwiceGivesTheSameBytes() throws {
    let first = try Scratch()
    let second = try Scratch()
    for scratch in [first, second] {
      try ToyModel().save(step: 1, ranges: [0..<9, 9..<35], to: scratch.path)
    }
    let names = try FileSystem.names(in: first.path + "/checkpoints/step-00000001")
    #expect(
      names == [
        "manifest.json", "manifest.sha256", "model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors",
        "optimizer-00000-of-00002.safetensors", "optimizer-00001-of-00002.safetensors",
      ])
    for name in names {
      let contents = [first, second].map {
        FileManager.default.contents(atPath: "\($0.path)/checkpoints/step-00000001/\(name)")
      }
      #expect(contents[0] != nil && contents[0] == contents[1], "\(name)")
    }
  }

  @Test func wholeParametersAreStoredUnderTheirKeyAndPartsUnderKeyAndOffset() throws {
    let scratch = try Scratch()
    try ToyModel().save(step: 1, ranges: [0..<4, 4..<35], to: scratch.path)
    let directory = scratch.path + "/checkpoints/step-00000001"
    let first = try Safetensors(path: directory + "/model-00000-of-00002.safetensors")
    let second = try Safetensors(path: directory + "/model-00001-of-00002.safetensors")
    #expect(first.names == ["encoder.weight@0"])
    #expect(second.names == ["decoder.weight", "empty", "encoder.bias", "encoder.weight@4", "scale"])
    #expect(try second.shape(of: "decoder.weight") == [2, 2, 3])
    #expect(try second.shape(of: "encoder.weight@4") == [11])
    #expect(second.metadata["kind"] == "model")
  }

  @Test func latestNamesTheNewestCheckpoint() throws {
    let scratch = try Scratch()
    for step in [3, 7] {
      try ToyModel().save(step: step, to: scratch.path)
      let text = try String(contentsOfFile: scratch.path + "/checkpoints/latest", encoding: .utf8)
      #expect(text == "step-0000000\(step)\n")
    }
  }

  @Test func savingAStepAgainReplacesIt() throws {
    let scratch = try Scratch()
    try ToyModel(seed: 1).save(step: 3, to: scratch.path)
    let other = ToyModel(seed: 2)
    try other.save(step: 3, to: scratch.path)
    let checkpoint = try #require(try CheckpointFolder(runDirectory: scratch.path).latestComplete().checkpoint)
    #expect(try other.restored(from: checkpoint, kind: "model", ranges: [0..<35]).bits == other.arena.bits)
    #expect(try FileSystem.names(in: scratch.path + "/checkpoints") == ["latest", "step-00000003"])
  }

  @Test func anotherRecipesParametersAreNamed() throws {
    let scratch = try Scratch()
    try ToyModel().save(step: 1, to: scratch.path)
    let checkpoint = try CheckpointReader(directory: scratch.path + "/checkpoints/step-00000001")
    var expected = ToyModel().shapes
    #expect(checkpoint.mismatches(ofKind: "model", expecting: expected).isEmpty)
    expected["encoder.bias"] = [8]
    expected["scale"] = nil
    expected["head"] = [1]
    #expect(
      checkpoint.mismatches(ofKind: "model", expecting: expected).map(\.reason) == [
        .shapeMismatch(key: "encoder.bias", expected: [8], found: [7]),
        .missingParameter(kind: "model", key: "head"), .unexpectedParameter(kind: "model", key: "scale"),
      ])
    #expect(throws: CheckpointError.self) { try checkpoint.floats(kind: "ema", key: "scale") }
  }

  @Test(arguments: [
    ([0..<10, 11..<35], "lacks floats 10..<11"), ([0..<10, 9..<35], "has float 9 twice"),
    ([0..<10], "lacks floats 10..<15"), ([5..<35], "lacks floats 0..<5"),
  ])
  func piecesThatDoNotCoverAParameterAreRefused(ranges: [Range<Int>], detail: String) throws {
    let scratch = try Scratch()
    let error = #expect(throws: CheckpointError.self) {
      try ToyModel(parameters: [("weight", [15]), ("rest", [20])]).save(step: 1, ranges: ranges, to: scratch.path)
    }
    #expect(error?.reason == .coverage(kind: "model", key: "weight", detail: detail))
    #expect(try FileSystem.names(in: scratch.path + "/checkpoints").isEmpty)
  }

  @Test func namesThatTheFormatCannotCarryAreRefused() throws {
    let scratch = try Scratch()
    #expect(throws: CheckpointError.self) {
      try ToyModel(parameters: [("a@1", [2])]).save(step: 1, to: scratch.path)
    }
    let writer = CheckpointWriter(runDirectory: scratch.path, step: 1)
    try writer.prepare()
    #expect(throws: CheckpointError.self) { try writer.writeShard(kind: "../x", index: 0, of: 1, pieces: []) }
  }

  @Test func aWriterOfTensorsKeepsNamesMetadataAndBits() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/weights.safetensors"
    let metadata = ["quote\"": "line\nbreak \\ \u{1} é😀", "a": ""]
    let written = try Safetensors.write(
      [("z", [2], [1, -0.0]), ("a\"b", [], [.pi]), ("none", [0], [])], metadata: metadata, to: path)
    let file = try Safetensors(path: path)
    #expect(file.metadata == metadata)
    #expect(file.names == ["a\"b", "none", "z"])
    #expect(try file.floats("z").bits == [1, -0.0].map { ($0 as Float).bitPattern })
    #expect(written.byteCount == (try FileSystem.byteCount(of: path)))
    #expect(written.sha256 == sha256(of: try ByteRegion(mapping: path)))
    #expect(try FileSystem.names(in: scratch.path) == ["weights.safetensors"])
  }

  @Test func sha256AgreesWithThePublishedVectors() {
    func hash(_ text: String) -> String { sha256(of: ByteRegion(copying: Array(text.utf8), path: "")) }
    #expect(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
