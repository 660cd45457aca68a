import Foundation
import Testing

/// A newest checkpoint that is not as it was written is named and passed over, and the run goes on from the one before;
/// what only lies beside good files is ignored. The run ends as if nothing had happened.
extension RankTests {
  @Suite struct Damage {
    enum Harm: String, CaseIterable, Sendable {
      case flippedByte, truncatedShard, missingShard, swappedShards, extraFile, strayTemporaryFolder, clockJump
    }

    @Test(arguments: Harm.allCases)
    func theRunGoesOnFromWhatIsGood(harm: Harm) throws {
      let playground = try TrainingPlayground()
      #expect(try playground.train("run").status == 0)
      let folder = playground.checkpoint(6, of: playground.run("run"))
      let first = folder + "/ema-00000-of-00002.safetensors"
      let shard = folder + "/ema-00001-of-00002.safetensors"
      let files = FileManager.default
      var content = try Data(contentsOf: URL(filePath: shard))
      switch harm {
      case .flippedByte:
        content[content.count / 2] ^= 0x10
        try content.write(to: URL(filePath: shard))
      case .truncatedShard: try content.dropLast(4).write(to: URL(filePath: shard))
      case .missingShard: try files.removeItem(atPath: shard)
      case .swappedShards:
        try files.moveItem(atPath: shard, toPath: folder + "/other")
        try files.moveItem(atPath: first, toPath: shard)
        try files.moveItem(atPath: folder + "/other", toPath: first)
      case .extraFile: try Data([1]).write(to: URL(filePath: folder + "/ema-00002-of-00003.copy"))
      case .strayTemporaryFolder:
        let stray = playground.checkpoint(9, of: playground.run("run")) + ".partial"
        try files.createDirectory(atPath: stray, withIntermediateDirectories: true)
        try content.write(to: URL(filePath: stray + "/ema-00001-of-00002.safetensors"))
      case .clockJump:
        // The newest checkpoint looks older than the other, and everything as if written in the future.
        for (path, year) in [(folder, 2031.0), (playground.checkpoint(3, of: playground.run("run")), 2032)] {
          try files.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: (year - 1970) * 365 * 86400)], ofItemAtPath: path)
        }
      }
      let outcome = try playground.train("run")
      #expect(outcome.status == 0, "\(outcome)")
      let isDamage = ![.strayTemporaryFolder, .clockJump, .extraFile].contains(harm)
      #expect(outcome.standardOutput.contains("passed over a damaged checkpoint: \(folder)") == isDamage, "\(outcome)")
      #expect(outcome.standardOutput.contains("after step \(isDamage ? 3 : 6)"), "\(outcome)")
      try playground.expectUndisturbed("run")
      try playground.remove()
    }
  }
}
