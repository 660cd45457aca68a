import Checkpointing
import Foundation
import Testing

/// What a user relies on in a run of several ranks, with real processes.
extension RankTests {
  @Suite struct TokenizerTraining {
    /// A folder for one test, with a recipe small enough for seconds.
    private struct Playground {
      let folder: URL

      init() throws {
        folder = FileManager.default.temporaryDirectory.appending(component: "training-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Self.recipe.write(to: folder.appending(component: "recipe.yaml"), atomically: true, encoding: .utf8)
      }

      var recipe: String { folder.appending(component: "recipe.yaml").path }

      func run(_ name: String) -> String { folder.appending(component: name).path }

      func remove() throws { try FileManager.default.removeItem(at: folder) }

      /// Keep counts, a shuffled epoch that ends within the run, clipping, an average: everything that must resume.
      static let recipe = """
        name: rank-test
        model:
          resolution: 16
          channels: 32
          channelMultipliers: [1, 1]
          residualBlocks: 1
          extraResidualBlocks: 0
          attentionBlocks: 2
          encoderHeads: 2
          decoderHeads: 2
          codeBits: 6
          keepCounts: [36, 49, 64]
          defaultKeepCount: 49
          head: none
          recoveryWidth: 32
          recoveryBlocks: 1
          recoveryHeads: 2
          layerScale: 0.1
          dropPath: 0.2
        run: {steps: 6, logEvery: 1, validateEvery: 0, checkpointEvery: 3, keepLast: 2}
        data: {train: "drawn:20,resolution=16,seed=3", flip: true}
        batch: {global: 8}
        optimizer: {learningRate: 1.0e-4, clipNorm: 1.0, emaDecay: 0.9}
        """
    }

    /// One value of every training record, in order.
    private func curve(_ name: String, of run: String) throws -> [Double] {
      try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap { line in
        let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return record?["kind"] as? String == "train" ? record?[name] as? Double : nil
      }
    }

    /// The records of finished epochs as they were written.
    private func epochs(of run: String) throws -> [String] {
      try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map(String.init)
        .filter { $0.contains("\"kind\":\"epoch\"") }
    }

    private func checkpoint(_ step: Int, of run: String) throws -> CheckpointReader {
      try CheckpointReader(directory: CheckpointFolder(runDirectory: run).directory(ofStep: step))
    }

    @Test func theWorldSizeChangesNothingButTheOrderOfSums() throws {
      let playground = try Playground()
      let worlds = [1, 2, 4]
      for ranks in worlds {
        let outcome = try MPIRun.run(
          "rank-checks", ["train", playground.recipe, playground.run("ranks\(ranks)")], rankCount: ranks)
        #expect(outcome.status == 0, "\(outcome.standardError)")
      }
      let reference = playground.run("ranks1")
      for ranks in worlds.dropFirst() {
        let run = playground.run("ranks\(ranks)")
        for (one, many) in zip(try curve("loss", of: reference).prefix(5), try curve("loss", of: run)) {
          #expect(abs(one - many) <= 1e-5 * abs(one), "\(ranks) ranks: loss \(many), one rank: \(one)")
        }
        #expect(try curve("loss", of: run).count == 6)
        // Integer statistics of the codes of the first step, before rounding can flip a sign.
        for name in ["codesCounted", "codesDead", "keepCount"] {
          #expect(try curve(name, of: run) == curve(name, of: reference), "\(name) with \(ranks) ranks")
        }
        #expect(try relativeDistance("model", from: reference, to: run) < 1e-4)
        #expect(try epochs(of: run).first == epochs(of: reference).first, "codes of the first epoch")
      }
      try playground.remove()
    }

    /// ‖a − b‖ / ‖b‖ over all parameters of step 6.
    private func relativeDistance(_ kind: String, from reference: String, to run: String) throws -> Double {
      let (a, b) = (try checkpoint(6, of: run), try checkpoint(6, of: reference))
      var (difference, size) = (0.0, 0.0)
      for key in b.shapes(ofKind: kind).keys.sorted() {
        for (x, y) in zip(try a.floats(kind: kind, key: key), try b.floats(kind: kind, key: key)) {
          difference += Double(x - y) * Double(x - y)
          size += Double(y) * Double(y)
        }
      }
      return (difference / size).squareRoot()
    }

    /// The file contents of step 6, by name: weights, average and both moments of every rank.
    private func bytes(of run: String) throws -> [String: Data] {
      let folder = CheckpointFolder(runDirectory: run).directory(ofStep: 6)
      var result: [String: Data] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".safetensors") {
        result[name] = try Data(contentsOf: URL(filePath: folder + "/" + name))
      }
      return result
    }

    @Test(arguments: [
      "prepared", "shardHalfWritten", "shardWritten", "beforeManifest", "beforeRename", "beforeLatest",
    ])
    func aKillInsideACheckpointWriteResumesBitForBit(stage: String) throws {
      let playground = try Playground()
      let (straight, broken) = (playground.run("straight"), playground.run("broken"))
      #expect(try MPIRun.run("rank-checks", ["train", playground.recipe, straight], rankCount: 2).status == 0)
      let killed = try MPIRun.run("rank-checks", ["train", playground.recipe, broken, stage], rankCount: 2)
      #expect(killed.status != 0)
      #expect(!killed.standardOutput.contains("ending:"))
      let resumed = try MPIRun.run("rank-checks", ["train", playground.recipe, broken], rankCount: 2)
      #expect(resumed.status == 0, "\(resumed.standardError)")
      #expect(resumed.standardOutput.contains("message: resumed"))
      let expected = try bytes(of: straight)
      #expect(expected.count == 8)
      #expect(try bytes(of: broken) == expected)
      #expect(try curve("loss", of: broken) == curve("loss", of: straight))
      // Step 3 is in the middle of an epoch: its codes so far are in the checkpoint.
      #expect(try epochs(of: straight).count == 3)
      #expect(try epochs(of: broken) == epochs(of: straight))
      try playground.remove()
    }

    @Test func aKilledRankEndsTheJobAndTheNextStartResumes() throws {
      let playground = try Playground()
      let (straight, broken) = (playground.run("straight"), playground.run("broken"))
      #expect(try MPIRun.run("rank-checks", ["train", playground.recipe, straight], rankCount: 2).status == 0)
      let job = try MPIRun("rank-checks", ["train", playground.recipe, broken], rankCount: 2)
      let identifiers = try job.line(after: "pids: ").split(separator: " ").compactMap { Int32($0) }
      _ = try job.line(after: "step: 4")
      job.signal(try #require(identifiers.last))
      let outcome = try job.wait()
      #expect(outcome.status != 0)
      #expect(outcome.duration < .seconds(10))
      #expect(try MPIRun.run("rank-checks", ["train", playground.recipe, broken], rankCount: 2).status == 0)
      #expect(try bytes(of: broken) == bytes(of: straight))
      try playground.remove()
    }

    @Test func aDamagedCheckpointIsNamedAndTheOneBeforeUsed() throws {
      let playground = try Playground()
      let run = playground.run("damaged")
      #expect(try MPIRun.run("rank-checks", ["train", playground.recipe, run], rankCount: 2).status == 0)
      let shard = CheckpointFolder(runDirectory: run).directory(ofStep: 6) + "/ema-00001-of-00002.safetensors"
      var content = try Data(contentsOf: URL(filePath: shard))
      content[content.count / 2] ^= 0x10
      try content.write(to: URL(filePath: shard))
      let outcome = try MPIRun.run("rank-checks", ["train", playground.recipe, run], rankCount: 2)
      #expect(outcome.status == 0, "\(outcome.standardError)")
      #expect(outcome.standardOutput.contains("passed over a damaged checkpoint: \(shard)"))
      #expect(outcome.standardOutput.contains("after step 3"))
      try playground.remove()
    }
  }
}
