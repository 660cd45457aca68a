import Foundation
import Testing

@testable import Checkpointing

struct CheckpointPruneTests {
  /// Saves the given steps, prunes after the last, and says what is left.
  func stepsLeft(
    after steps: [Int], keeping retention: CheckpointRetention, damage: (CheckpointFolder) throws -> Void = { _ in }
  ) throws -> [Int] {
    let scratch = try Scratch()
    for step in steps { try ToyModel().save(step: step, to: scratch.path) }
    let folder = CheckpointFolder(runDirectory: scratch.path)
    try damage(folder)
    let removed = try CheckpointWriter(runDirectory: scratch.path, step: steps[steps.count - 1])
      .prune(keeping: retention)
    let left = try folder.candidates().map(\.step)
    #expect(removed.count == steps.count - left.count)
    #expect(try FileSystem.names(in: folder.path).count == left.count + 1)
    return left
  }

  @Test func theNewestStay() throws {
    #expect(try stepsLeft(after: [1, 2, 3, 4, 5], keeping: CheckpointRetention(last: 2)) == [5, 4])
  }

  @Test func everyMthStaysForGood() throws {
    let retention = CheckpointRetention(last: 1, every: 10)
    #expect(try stepsLeft(after: [5, 10, 15, 20, 25], keeping: retention) == [25, 20, 10])
  }

  @Test func theOnlyOneStaysWhateverTheSettings() throws {
    #expect(try stepsLeft(after: [5], keeping: CheckpointRetention(last: 0)) == [5])
    #expect(try stepsLeft(after: [5], keeping: CheckpointRetention(last: -3, every: 0)) == [5])
    var retention = CheckpointRetention(last: 2)
    retention.last = 0
    #expect(try stepsLeft(after: [5, 6], keeping: retention) == [6])
  }

  @Test func damagedCheckpointsDoNotCountAsKept() throws {
    let left = try stepsLeft(after: [1, 2, 3, 4], keeping: CheckpointRetention(last: 1)) { folder in
      try FileSystem.remove(folder.directory(ofStep: 4) + "/model-00000-of-00001.safetensors")
      try FileSystem.remove(folder.directory(ofStep: 3) + "/manifest.json")
    }
    // Step 2 is the newest good one; 3 and 4 stay for whoever wants to see what happened to them.
    #expect(left == [4, 3, 2])
  }
}
