import Foundation
import Testing

@testable import Checkpointing

/// Damage to a finished checkpoint: every kind is named, and resuming falls back to the one before.
struct CheckpointDamageTests {
  let scratch: Scratch
  let folder: CheckpointFolder
  let model = ToyModel()
  /// The newest of two checkpoints, the one that gets damaged.
  let newest: String

  init() throws {
    scratch = try Scratch()
    folder = CheckpointFolder(runDirectory: scratch.path)
    newest = folder.directory(ofStep: 20)
    try model.save(step: 10, ranges: [0..<20, 20..<35], to: scratch.path)
    try model.save(step: 20, ranges: [0..<17, 17..<35], to: scratch.path)
  }

  /// The error for which the newest checkpoint was passed over; the older one must have been chosen.
  func rejection() throws -> CheckpointError {
    let selection = try folder.latestComplete()
    #expect(selection.checkpoint?.manifest.step == 10)
    #expect(selection.rejected.count == 1)
    return try #require(selection.rejected.first)
  }

  func overwrite(_ path: String, with content: Data) throws {
    try content.write(to: URL(filePath: path))
  }

  func content(_ path: String) throws -> Data {
    try Data(contentsOf: URL(filePath: path))
  }

  @Test func anyFlippedBitInAnyFileIsFound() throws {
    var random = SeededGenerator(state: 7)
    for name in try FileSystem.names(in: newest) {
      let path = "\(newest)/\(name)"
      let original = try content(path)
      // Every byte of the small files, a sample of the shards.
      let offsets = Array(original.indices.shuffled(using: &random).prefix(name.hasSuffix("safetensors") ? 60 : 400))
      for offset in offsets {
        var damaged = original
        damaged[offset] ^= 1 << Int.random(in: 0..<8, using: &random)
        try overwrite(path, with: damaged)
        let error = try rejection()
        #expect(error.path.hasPrefix(newest), "byte \(offset) of \(name): \(error)")
      }
      try overwrite(path, with: original)
    }
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 20)
  }

  @Test(arguments: [
    "manifest.json", "manifest.sha256", "model-00000-of-00002.safetensors", "optimizer-00001-of-00002.safetensors",
  ])
  func aMissingFileIsNamed(name: String) throws {
    try FileSystem.remove("\(newest)/\(name)")
    #expect(try rejection() == CheckpointError(path: newest, .missingFile(name: name)))
  }

  @Test(arguments: [0, 7, 100])
  func aTruncatedShardIsNamedWithItsLengths(length: Int) throws {
    let path = "\(newest)/model-00001-of-00002.safetensors"
    let original = try content(path)
    try overwrite(path, with: original.prefix(length))
    #expect(try rejection() == CheckpointError(path: path, .byteCount(expected: original.count, found: length)))
  }

  @Test func swappedShardsAreNamed() throws {
    // One length, so that only the content tells them apart.
    let names = ["model-00000-of-00002.safetensors", "optimizer-00000-of-00002.safetensors"]
    let even = ToyModel(parameters: [("weight", [8])])
    try even.save(step: 30, ranges: [0..<4, 4..<8], to: scratch.path)
    let directory = folder.directory(ofStep: 30)
    let paths = [names[0], "model-00001-of-00002.safetensors"].map { "\(directory)/\($0)" }
    try FileSystem.rename(paths[0], to: directory + "/aside")
    try FileSystem.rename(paths[1], to: paths[0])
    try FileSystem.rename(directory + "/aside", to: paths[1])
    let problems = try CheckpointReader(directory: directory).problems()
    #expect(problems.map(\.path) == paths)
    for problem in problems {
      guard case .hashMismatch = problem.reason else {
        Issue.record("\(problem)")
        continue
      }
    }
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 20)
  }

  @Test func anExtraFileIsNamedAndDoesNoHarm() throws {
    try overwrite("\(newest)/notes.txt", with: Data("mine".utf8))
    let selection = try folder.latestComplete()
    #expect(selection.checkpoint?.manifest.step == 20)
    #expect(selection.rejected.isEmpty)
    #expect(
      try selection.checkpoint?.extraFiles() == [CheckpointError(path: newest, .extraFile(name: "notes.txt"))])
  }

  @Test func strayTemporaryDirectoriesAreIgnoredAndCleared() throws {
    let stray = folder.directory(ofStep: 30) + ".partial"
    try FileManager.default.copyItem(atPath: newest, toPath: stray)
    try overwrite(folder.path + "/latest.partial", with: Data())
    try FileSystem.createDirectory(folder.path + "/step-40")
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 20)
    #expect(try folder.removeLeftovers() == [folder.path + "/latest.partial", stray])
    #expect(
      try FileSystem.names(in: folder.path) == ["latest", "step-00000010", "step-00000020", "step-40"])
    #expect(try folder.removeLeftovers().isEmpty)
  }

  @Test func aCheckpointThatSteppedAsideComesBack() throws {
    try FileSystem.rename(newest, to: newest + ".replaced")
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 10)
    try folder.removeLeftovers()
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 20)
  }

  @Test func anUnknownFormatVersionIsNamed() throws {
    let path = "\(newest)/manifest.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try rewriteManifest(text.replacingOccurrences(of: "\"formatVersion\" : 1", with: "\"formatVersion\" : 2"))
    #expect(try rejection() == CheckpointError(path: path, .formatVersion(found: 2, supported: 1)))
  }

  @Test(arguments: [
    ("model-00000-of-00002.safetensors", "../../x.safetensors", "file name"),
    ("\"byteCount\" : ", "\"byteCount\" : -", "bytes"), ("\"worldSize\" : 2", "\"worldSize\" : 0", "world size"),
    ("\"offset\" : 2", "\"offset\" : 3", "lacks floats"), ("\"step\" : 20", "\"step\" : \"x\"", "manifest"),
    ("\"count\" : 15", "\"count\" : 9223372036854775807", "more floats"),
    ("{", String(repeating: "[", count: 600), "manifest"),
  ])
  func aManifestThatMakesNoSenseIsRefused(original: String, replacement: String, reason: String) throws {
    let text = try String(contentsOfFile: "\(newest)/manifest.json", encoding: .utf8)
    let changed = text.replacingOccurrences(of: original, with: replacement)
    try #require(changed != text)
    try rewriteManifest(changed)
    let error = try rejection()
    #expect(error.description.contains(reason), "\(error)")
  }

  @Test func noCheckpointAtAllIsNotAnError() throws {
    let empty = CheckpointFolder(runDirectory: scratch.path + "/none")
    #expect(try empty.latestComplete().checkpoint == nil)
    #expect(try empty.removeLeftovers().isEmpty)
    for step in [10, 20] { try FileSystem.remove(folder.directory(ofStep: step) + "/manifest.json") }
    let selection = try folder.latestComplete()
    #expect(selection.checkpoint == nil)
    #expect(selection.rejected.map(\.path) == [newest, folder.directory(ofStep: 10)])
  }

  @Test func ranksShareTheWorkOfVerifying() throws {
    for name in ["model-00000-of-00002.safetensors", "optimizer-00001-of-00002.safetensors"] {
      var damaged = try content("\(newest)/\(name)")
      damaged[damaged.count - 1] ^= 1
      try overwrite("\(newest)/\(name)", with: damaged)
    }
    let checkpoint = try CheckpointReader(directory: newest)
    let all = checkpoint.problems()
    #expect(all.count == 2)
    let shared = (0..<3).flatMap { checkpoint.problems(share: $0, of: 3) }
    #expect(Set(shared.map(\.path)) == Set(all.map(\.path)))
  }

  /// Replaces the newest manifest and its hash: a consistent file with another meaning.
  private func rewriteManifest(_ text: String) throws {
    try overwrite("\(newest)/manifest.json", with: Data(text.utf8))
    let hash = sha256(of: ByteRegion(copying: Array(text.utf8), path: ""))
    try overwrite("\(newest)/manifest.sha256", with: Data("\(hash)  manifest.json\n".utf8))
  }
}
