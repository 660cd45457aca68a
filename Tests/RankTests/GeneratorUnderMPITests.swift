import Checkpointing
import Foundation
import TestSupport
import Testing

/// Stage 2 as a user runs it, with real processes: encode, train, sample.
extension RankTests {
  @Suite struct Generator {
    /// A folder with a tokenizer, its codes and recipes small enough for seconds; made once for all tests of the suite.
    private struct Playground {
      let folder: URL

      static let shared = Result { try Playground() }

      private init() throws {
        folder = try SharedFolder.create("generator")
        try Self.tokenizerRecipe.write(toFile: path("tokenizer.yaml"), atomically: true, encoding: .utf8)
        try Self.generatorRecipe.write(toFile: path("generator.yaml"), atomically: true, encoding: .utf8)
        try (0..<12).map { "\(Self.kinds[$0])\tdrawn \(Self.kinds[$0]), number \($0)\n" }.joined()
          .write(toFile: path("names.txt"), atomically: true, encoding: .utf8)
        try succeed(
          ["tokenizer", "train", path("tokenizer.yaml"), "--set", "run.directory=\(path("tokenizer"))"], ranks: 1)
        try succeed(encoding("codes", data: Self.data), ranks: 3)
      }

      func path(_ name: String) -> String { folder.appending(path: name).path }

      func encoding(_ output: String, data: String) -> [String] {
        ["generator", "encode", "--checkpoint", path("tokenizer"), "--data", data, "--output", path(output), "--flip"]
          + ["--names", path("names.txt"), "--threads", "1"]
      }

      func training(_ run: String, _ settings: [String] = []) -> [String] {
        let fixed = ["data.codes=\(path("codes"))", "data.validation=\(path("codes"))", "run.directory=\(path(run))"]
        return ["generator", "train", path("generator.yaml")] + (fixed + settings).flatMap { ["--set", $0] }
      }

      @discardableResult
      func run(_ arguments: [String], ranks: Int) throws -> MPIRun.Outcome {
        try MPIRun.run("mergevq", arguments, rankCount: ranks)
      }

      @discardableResult
      func succeed(_ arguments: [String], ranks: Int) throws -> MPIRun.Outcome {
        let outcome = try run(arguments, ranks: ranks)
        #expect(outcome.status == 0, "\(arguments): \(outcome)")
        return outcome
      }

      /// The content of every file of a folder, by name.
      func files(_ name: String) throws -> [String: Data] {
        var result: [String: Data] = [:]
        for file in try FileManager.default.contentsOfDirectory(atPath: path(name)) {
          result[file] = try Data(contentsOf: URL(filePath: path(name) + "/" + file))
        }
        return result
      }

      static let kinds = [
        "ball", "checkerboard", "cross", "face", "flower", "heart", "house", "landscape", "ring", "square", "star",
        "triangle",
      ]
      static let data = "drawn:600,resolution=16,seed=3"
      static let tokenizerRecipe = """
        name: rank-test-tokenizer
        \(SmallModel.ofGrid4(codeBits: 8))
          head: none
        run: {steps: 1, threads: 1}
        data: {train: "drawn:20,resolution=16,seed=3"}
        batch: {global: 4}
        """
      static let generatorRecipe = """
        name: rank-test-generator
        model:
          width: 32
          blocks: 2
          factorizedBlocks: 1
          heads: 2
          hiddenMultiple: 16
          factorBits: [4, 4]
          gridSize: 4
          keepCounts: [9, 16]
          dropout: 0.1
          classDropout: 0.2
        run: {steps: 6, logEvery: 1, validateEvery: 3, checkpointEvery: 3, keepLast: 2, threads: 1}
        data: {validationImages: 50}
        batch: {global: 8}
        optimizer: {learningRate: 1.0e-2, emaDecay: 0.9, schedule: {warmupEpochs: 0, warmupSteps: 2}}
        """
    }

    /// One value of every record of a kind, in order.
    private func curve(_ name: String, kind: String = "train", of run: String) throws -> [Double] {
      try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap { line in
        let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return record?["kind"] as? String == kind ? record?[name] as? Double : nil
      }
    }

    @Test func codesAreTheSameFilesForAnyNumberOfRanks() throws {
      let playground = try Playground.shared.get()
      try playground.succeed(playground.encoding("codes-of-one", data: Playground.data), ranks: 1)
      let (one, three) = (try playground.files("codes-of-one"), try playground.files("codes"))
      #expect(one.count == 4)
      #expect(one == three)
    }

    @Test(arguments: ["raster", "random"])
    func theWorldSizeChangesNothingButTheOrderOfSums(order: String) throws {
      let playground = try Playground.shared.get()
      func name(_ ranks: Int) -> String { "\(order)-ranks\(ranks)" }
      for ranks in [1, 4] {
        let settings = ["model.order=\(order)"] + (ranks == 1 ? ["batch.accumulation=2"] : [])
        let outcome = try playground.succeed(playground.training(name(ranks), settings), ranks: ranks)
        #expect(outcome.occurrences(of: "guessing codes by their frequency costs") == 1)
      }
      let (reference, run) = (playground.path(name(1)), playground.path(name(4)))
      for kind in ["train", "validation"] {
        for value in ["loss", "pre", "post"] {
          let (one, many) = (try curve(value, kind: kind, of: reference), try curve(value, kind: kind, of: run))
          #expect(one.count == (kind == "train" ? 6 : 2) && many.count == one.count)
          for (one, many) in zip(one, many) {
            #expect(abs(one - many) <= 2e-5 * abs(one), "\(kind) \(value): \(many), one rank: \(one)")
          }
        }
      }
      #expect(try curve("keepCount", of: run) == curve("keepCount", of: reference))
      #expect(try curve("unigram", kind: "validation", of: run) == curve("unigram", kind: "validation", of: reference))
    }

    @Test func aStoppedRunResumesBitForBit() throws {
      let playground = try Playground.shared.get()
      try playground.succeed(playground.training("straight"), ranks: 2)
      try playground.succeed(playground.training("stopped") + ["--stop-after", "3"], ranks: 2)
      let resumed = try playground.succeed(playground.training("stopped"), ranks: 2)
      #expect(resumed.occurrences(of: "after step 3\n") == 1, "\(resumed)")
      func weights(_ run: String) throws -> [String: Data] {
        try playground.files("\(run)/checkpoints/step-00000006").filter { $0.key.hasSuffix(".safetensors") }
      }
      #expect(try weights("stopped").count == 8)
      #expect(try weights("stopped") == weights("straight"))
      #expect(try curve("loss", of: playground.path("stopped")) == curve("loss", of: playground.path("straight")))
    }

    @Test(arguments: ["raster", "random"])
    func imagesDoNotDependOnTheRanks(order: String) throws {
      let playground = try Playground.shared.get()
      let run = "\(order)-for-samples"
      try playground.succeed(playground.training(run, ["model.order=\(order)", "run.steps=2"]), ranks: 2)
      func sample(_ output: String, _ classes: String, ranks: Int, _ further: [String] = []) throws {
        try playground.succeed(
          ["generator", "sample", "--checkpoint", playground.path(run), "--classes", classes, "--count", "3"]
            + ["--guidance", "2,1.5", "--top-k", "12,0", "--top-p", "1,0.95", "--schedule", "linear", "--seed", "7"]
            + ["--steps", "5", "--threads", "1", "--batch", "2", "--output", playground.path(output)] + further,
          ranks: ranks)
      }
      let classes = "drawn ball,star,2"
      try sample("\(order)-one.npz", classes, ranks: 1)
      try sample("\(order)-three.npz", classes, ranks: 3)
      let one = try Data(contentsOf: URL(filePath: playground.path("\(order)-one.npz")))
      #expect(one.count > 9 * 16 * 16 * 3)
      #expect(try Data(contentsOf: URL(filePath: playground.path("\(order)-three.npz"))) == one)
      // The file says where its images come from.
      let archive = try NumPyArchive(path: playground.path("\(order)-one.npz"))
      let comment = Data(try #require(archive.metadata["comment"]).utf8)
      let origin = try #require(try JSONSerialization.jsonObject(with: comment) as? [String: Any])
      #expect(origin["generator"] as? String == "rank-test-generator" && origin["step"] as? Int == 2)
      #expect((origin["sha256"] as? String)?.count == 64 && origin["classes"] as? String == classes)
      #expect((origin["sampling"] as? [String: Any])?["seed"] as? Int == 7)
      // Nor on the other images that are asked for.
      try sample("\(order)-all", classes, ranks: 2)
      try sample("\(order)-star", "star", ranks: 1)
      let (all, star) = (try playground.files("\(order)-all"), try playground.files("\(order)-star"))
      #expect(all.count == 9 && star.count == 3)
      #expect(star["00001-drawn-star.png"] != nil && star["00001-drawn-star.png"] == all["00004-drawn-star.png"])
      try sample("\(order)-grid.png", classes, ranks: 2)
      #expect(FileManager.default.fileExists(atPath: playground.path("\(order)-grid.png")))
    }

    @Test func whatCannotWorkIsRefusedOnceAndBeforeAnyWork() throws {
      let playground = try Playground.shared.get()
      try playground.succeed(playground.training("refusals", ["run.steps=1"]), ranks: 1)
      let output = playground.path("refused.png")
      func sample(_ options: [String]) -> [String] {
        let classes = options.contains("--classes") ? [] : ["--classes", "star"]
        return ["generator", "sample", "--checkpoint", playground.path("refusals"), "--output", output] + classes
          + options
      }
      try playground.succeed(
        ["tokenizer", "train", playground.path("tokenizer.yaml"), "--set", "run.seed=9"]
          + ["--set", "run.directory=\(playground.path("other-tokenizer"))"], ranks: 1)
      let cases: [(arguments: [String], status: Int32, text: String)] = [
        (sample(["--classes", "sta"]), 64, "did you mean 'star'?"),
        (sample(["--classes", "12"]), 64, "there is no class 12; the generator has 12"),
        (sample(["--guidance", "-1"]), 64, "--guidance: -1.0 is below 0"),
        (sample(["--top-p", "0.5,0"]), 64, "--top-p: 0.0 is outside (0, 1]"),
        (sample(["--keep", "17"]), 64, "--keep: 17 is outside 1...16"),
        (sample(["--order", "random"]), 64, "was trained in order raster"),
        (sample(["--tokenizer", playground.path("other-tokenizer")]), 65, "speaks the codes of rank-test-tokenizer"),
        (sample(["--output", playground.path("names.txt")]), 64, "names.txt: exists already"),
        (playground.encoding("codes", data: Playground.data), 64, "codes: exists already"),
        (playground.encoding("x", data: Playground.data) + ["--keep", "9,17"], 64, "cannot merge them into 17"),
        (playground.training("x", ["data.codes=/no/such/folder"]), 65, "there are no codes here"),
        (playground.training("x", ["model.gridSize=8"]), 64, "'model.gridSize' is 8"),
        (playground.training("x", ["tokenizer=\(playground.path("other-tokenizer"))"]), 65, "these codes were made by"),
        (
          ["data", "verify-codes", "--codes", playground.path("codes"), "--output", output]
            + ["--checkpoint", playground.path("other-tokenizer")], 65, "these codes were made by"
        ),
      ]
      for (arguments, status, text) in cases {
        let outcome = try playground.run(arguments, ranks: 2)
        #expect(outcome.status == status, "\(arguments): \(outcome)")
        #expect(outcome.occurrences(of: text) == 1, "\(arguments): \(outcome)")
      }
      #expect(!FileManager.default.fileExists(atPath: output))
      #expect(!FileManager.default.fileExists(atPath: playground.path("x")))
    }

    @Test func codesAreVerifiedAndDrawn() throws {
      let playground = try Playground.shared.get()
      let picture = playground.path("codes.png")
      let outcome = try playground.succeed(
        ["data", "verify-codes", "--codes", playground.path("codes"), "--checkpoint", playground.path("tokenizer")]
          + ["--output", picture], ranks: 1)
      #expect(outcome.occurrences(of: "600 images in 2 views at [9, 16] of 16 tokens") == 1, "\(outcome)")
      #expect(FileManager.default.fileExists(atPath: picture))
    }

    @Test func imagesAreEncodedOnTheWay() throws {
      let playground = try Playground.shared.get()
      let data = "drawn:40,resolution=16,seed=3"
      try playground.succeed(
        ["generator", "train", playground.path("generator.yaml"), "--set", "images.train=\(data)"]
          + ["--set", "images.validation=\(data)", "--set", "tokenizer=\(playground.path("tokenizer"))"]
          + ["--set", "run.directory=\(playground.path("on-the-way"))", "--set", "run.steps=2"], ranks: 2)
      #expect(try curve("loss", of: playground.path("on-the-way")).count == 2)
      #expect(try curve("loss", kind: "validation", of: playground.path("on-the-way")).count == 1)
    }

    @Test func theDryRunKnowsTheClassesOfTheCodes() throws {
      let playground = try Playground.shared.get()
      let outcome = try playground.succeed(playground.training("dry") + ["--dry-run"], ranks: 2)
      #expect(outcome.occurrences(of: "classCount: 12\n") == 1, "\(outcome)")
      #expect(outcome.occurrences(of: "spatial_blocks") == 1)
      #expect(!FileManager.default.fileExists(atPath: playground.path("dry")))
    }
  }
}
