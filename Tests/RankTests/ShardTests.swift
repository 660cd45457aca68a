import Checkpointing
import Foundation
import Testing

/// What is divided among ranks: checkpoints, optimizer state, messages.
extension RankTests {
  @Suite struct Shards {
    /// Every array of a checkpoint, by kind and key.
    private func arrays(_ run: String) throws -> [String: [Float]] {
      let reader = try CheckpointReader(directory: CheckpointFolder(runDirectory: run).directory(ofStep: 3))
      try reader.verify()
      var arrays: [String: [Float]] = [:]
      for kind in reader.kinds {
        for key in reader.shapes(ofKind: kind).keys {
          arrays["\(kind)/\(key)"] = try reader.floats(kind: kind, key: key)
        }
      }
      return arrays
    }

    @Test func aCheckpointGoesRoundAnyNumberOfRanksUnchanged() throws {
      let playground = try TrainingPlayground()
      var previous: String?
      for (index, ranks) in [4, 3, 1, 8, 6, 4].enumerated() {
        let run = playground.run("\(index)")
        let outcome = try MPIRun.run("rank-checks", ["reshard", run] + (previous.map { [$0] } ?? []), rankCount: ranks)
        #expect(outcome.status == 0, "\(ranks) ranks: \(outcome)")
        previous = run
      }
      let first = try arrays(playground.run("0"))
      #expect(first.count == 20)
      #expect(first.values.allSatisfy { $0.allSatisfy(\.isFinite) && $0.contains { $0 != 0 } })
      for index in 1...5 { #expect(try arrays(playground.run("\(index)")) == first, "after launch \(index)") }
      // The same number of ranks writes the same files.
      #expect(
        try playground.bytes(of: playground.run("5"), step: 3) == playground.bytes(of: playground.run("0"), step: 3))
      try playground.remove()
    }

    @Test(arguments: [1, 2, 4])
    func optimizerMemoryAndMessagesAreWhatTheyMustBe(ranks: Int) throws {
      let outcome = try MPIRun.run("rank-checks", ["shares"], rankCount: ranks)
      #expect(outcome.status == 0, "\(outcome)")
      func numbers(_ name: String) throws -> [Int] {
        let line = outcome.standardOutput.split(separator: "\n").first { $0.hasPrefix(name) }
        return try #require(line).split(separator: " ").dropFirst().compactMap { Int($0) }
      }
      let bytes = try #require(numbers("parameters: ").first)
      // Two moments and the average, a share of each.
      #expect(try numbers("held: ") == Array(repeating: 3 * bytes / ranks, count: ranks))
      // Reduce-scatter and all-gather: everything but the own share leaves, and the own share goes to all others. The
      // one number of the norm goes to the first rank, and from there to all others.
      let minimum = 2 * bytes / ranks * (ranks - 1)
      let expected = (0..<ranks).map { minimum + ($0 == 0 ? ranks - 1 : 1) * MemoryLayout<Double>.stride }
      #expect(try numbers("sent: ") == (ranks == 1 ? [0] : expected))
    }
  }
}
