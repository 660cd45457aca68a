import Foundation
import Testing

@testable import Checkpointing

/// Writers that are killed, or run out of disk, at every stage.
struct CheckpointInterruptionTests {
  /// Saves step 1, then is killed by SIGKILL while saving step 2 or pruning step 1.
  @Test(arguments: [
    ("prepared", 1), ("shardHalfWritten", 1), ("shardWritten", 1), ("beforeManifest", 1), ("beforeRename", 1),
    ("beforeLatest", 2), ("beforePrune", 2), ("pruning", 2),
  ])
  func aKilledWriterLeavesAGoodCheckpoint(stage: String, expectedStep: Int) async throws {
    let scratch = try Scratch()
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = scratch.path as String, stage = stage as String] in
      try ToyModel(seed: 1).save(step: 1, to: path)
      let observer: @Sendable (CheckpointWriter.Stage) -> Void = { reached in
        if "\(reached)".hasPrefix(stage) { kill(getpid(), SIGKILL) }
      }
      try ToyModel(seed: 2).save(step: 2, to: path, stageObserver: observer)
      try CheckpointWriter(runDirectory: path, step: 2, stageObserver: observer)
        .prune(keeping: CheckpointRetention(last: 1))
    }
    let folder = CheckpointFolder(runDirectory: scratch.path)
    try folder.removeLeftovers()
    let selection = try folder.latestComplete()
    #expect(selection.rejected.isEmpty)
    let checkpoint = try #require(selection.checkpoint)
    #expect(checkpoint.manifest.step == expectedStep)
    let model = ToyModel(seed: UInt64(expectedStep))
    #expect(try model.restored(from: checkpoint, kind: "model", ranges: [0..<35]).bits == model.arena.bits)
    #expect(try FileSystem.names(in: folder.path).allSatisfy { !$0.hasSuffix(".partial") })
    // And the run goes on from there.
    try model.save(step: 3, to: scratch.path)
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 3)
  }

  @Test func aFileThatMayNotGrowEndsTheWriteAndKeepsThePreviousCheckpoint() async throws {
    let scratch = try Scratch()
    await #expect(processExitsWith: .success) { [path = scratch.path as String] in
      try ToyModel().save(step: 1, to: path)
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 300, rlim_max: 300)
      guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { exit(3) }
      do {
        try savingAlone(ToyModel(), step: 2, to: path)
        exit(4)
      } catch let error as CheckpointError {
        guard case .system("write", EFBIG) = error.reason else { exit(5) }
      }
    }
    let folder = CheckpointFolder(runDirectory: scratch.path)
    #expect(try FileSystem.names(in: folder.path) == ["latest", "step-00000001"])
    #expect(try folder.latestComplete().checkpoint?.manifest.step == 1)
  }

  @Test func aFullDiskEndsTheWriteAndKeepsThePreviousCheckpoint() throws {
    let scratch = try Scratch()
    guard try run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", scratch.path) else {
      print("skipped: mounting a small file system needs root")
      return
    }
    defer { do { _ = try run("umount", scratch.path) } catch { Issue.record(error) } }
    let small = ToyModel(parameters: [("weight", [20_000])])
    try savingAlone(small, step: 1, to: scratch.path)
    let error = #expect(throws: CheckpointError.self) {
      try savingAlone(ToyModel(parameters: [("weight", [60_000])]), step: 2, to: scratch.path)
    }
    #expect(error?.reason == .system(operation: "write", code: ENOSPC))
    #expect(error?.description.contains("No space left on device") == true)
    let folder = CheckpointFolder(runDirectory: scratch.path)
    #expect(try FileSystem.names(in: folder.path) == ["latest", "step-00000001"])
    let checkpoint = try #require(try folder.latestComplete().checkpoint)
    #expect(try checkpoint.floats(kind: "model", key: "weight").bits == small.arena.bits)
  }

  private func run(_ arguments: String...) throws -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

/// Saves by one rank through the all-in-one call.
private func savingAlone(_ model: ToyModel, step: Int, to runDirectory: String) throws {
  try model.arena.withUnsafeBufferPointer { arena in
    let pieces = model.pieces(0..<arena.count, of: arena)
    try CheckpointWriter(runDirectory: runDirectory, step: step)
      .save([("model", pieces), ("optimizer", [])], manifest: model.manifest(step: step))
  }
}
