import Checkpointing
import Evaluation
import Foundation
import Layers
import Tensors
import TestSupport
import Testing
import Tokenizer

/// `tokenizer evaluate` with real processes.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct EvaluationCommandTests {
  private static let recipe = """
    name: evaluation-test
    \(SmallModel.ofGrid8)
      head: none
    run: {steps: 1}
    data: {train: "drawn:4,resolution=16,seed=3"}
    batch: {global: 2}
    """

  /// Calls `body` with a folder that holds a small trained run, `run`.
  private func withRun(_ body: (_ folder: String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(component: "evaluation-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { do { try FileManager.default.removeItem(at: folder) } catch { print("\(folder.path) is left behind") } }
    try Self.recipe.write(to: folder.appending(component: "recipe.yaml"), atomically: true, encoding: .utf8)
    let trained = try MPIRun.run(
      "mergevq",
      ["tokenizer", "train", folder.path + "/recipe.yaml", "--set", "run.directory=\(folder.path)/run"], rankCount: 1)
    #expect(trained.status == 0, "\(trained)")
    try body(folder.path)
  }

  private func evaluate(_ folder: String, _ arguments: [String], rankCount: Int = 1) throws -> MPIRun.Outcome {
    try MPIRun.run(
      "mergevq",
      ["tokenizer", "evaluate", "--checkpoint", folder + "/run", "--images", "drawn:20,resolution=16,seed=5"]
        + arguments, rankCount: rankCount, timeout: .seconds(100))
  }

  /// Writes weights that follow the fixtures' rule.
  private func writeWeights(of module: some Module, to path: String) throws {
    let rule = WeightsByRule()
    let tensors = module.parameters.compactMap { name, parameter in
      TensorDescription(name: name, elementType: .float32, shape: parameter.publishedShape)
    }
    try Safetensors.write(tensors, to: path) { tensor in
      let weights = rule.weights(tensor.name, shape: tensor.shape)
      return .float32(tensor.name.hasPrefix("lin") ? weights.map(abs) : weights)
    }
  }

  @Test func theFiguresAreTheSameOnAnyNumberOfRanks() throws {
    try withRun { folder in
      var random = SplitMix64(seed: 0)
      try writeWeights(of: InceptionNetwork(using: &random), to: folder + "/inception.safetensors")
      try writeWeights(of: PerceptualLoss(using: &random), to: folder + "/lpips.safetensors")
      var reports: [Data] = []
      for ranks in [1, 3] {
        let output = folder + "/report\(ranks).json"
        let outcome = try evaluate(
          folder,
          ["--inception", folder + "/inception.safetensors", "--lpips", folder + "/lpips.safetensors"]
            + ["--output", output, "--precision-recall", "--split", "drawn"], rankCount: ranks)
        #expect(outcome.status == 0, "\(outcome)")
        for text in [
          "sources right", "does not hold the published inception weights", "20 images of drawn",
          "20 images are too few for 2048 features",
        ] {
          #expect(outcome.occurrences(of: text) == 1, "\(text): \(outcome)")
        }
        reports.append(try Data(contentsOf: URL(filePath: output)))
      }
      #expect(reports[0] == reports[1])
      // The stand-in is the same weights without a file, and says so.
      let standIn = try evaluate(
        folder,
        ["--inception", "stand-in", "--lpips", "stand-in", "--output", folder + "/standIn.json", "--precision-recall"],
        rankCount: 2)
      #expect(standIn.status == 0 && standIn.occurrences(of: "STAND-IN: ") == 2, "\(standIn)")
      let other = try #require(
        try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: folder + "/standIn.json")))
          as? [String: Any])
      let report = try #require(try JSONSerialization.jsonObject(with: reports[0]) as? [String: Any])
      let rows = try #require(report["rows"] as? [[String: Any]])
      #expect(rows as NSArray == other["rows"] as? NSArray)
      let row = try #require(rows.first)
      #expect(rows.count == 1)
      #expect(row["codesCounted"] as? Int == 20 * 49)
      for name in ["frechetDistance", "inceptionScore", "perceptualDistance", "peakSignalToNoise"] {
        let value = try #require(row[name] as? Double)
        #expect(value > 0, "\(name) is \(value)")
      }
      for name in ["precision", "recall", "structuralSimilarity", "sourcesRight"] {
        let value = try #require(row[name] as? Double)
        #expect((-1...1).contains(value), "\(name) is \(value)")
      }
      let provenance = try #require(report["provenance"] as? [String: Any])
      #expect(provenance["protocol"] as? String == "pytorch-fid")
      let networks = try #require(provenance["networks"] as? [[String: Any]])
      #expect(networks.first?["isPublished"] as? Bool == false && networks.first?["isStandIn"] as? Bool == false)
      let others = (other["provenance"] as? [String: Any])?["networks"] as? [[String: Any]]
      #expect(others?.map { $0["isStandIn"] as? Bool } == [true, true])
      #expect(others?.map { $0["weights"] as? String } == networks.map { $0["weights"] as? String })
      #expect((provenance["pixels"] as? String)?.count == 64 && provenance["imageCount"] as? Int == 20)
      #expect(((provenance["tokenizer"] as? [String: Any])?["sha256"] as? String)?.count == 64)
    }
  }

  private func expectRefusalOfNotFiniteWeights(_ folder: String) throws {
    let weights = folder + "/weights.safetensors"
    let exported = try MPIRun.run(
      "mergevq", ["checkpoint", "export", folder + "/run", "--output", weights], rankCount: 1)
    #expect(exported.status == 0, "\(exported)")
    let (file, broken) = (try Safetensors(path: weights), folder + "/broken.safetensors")
    try Safetensors.write(file.tensors, metadata: file.metadata, to: broken) { tensor throws(CheckpointError) in
      var elements = try file.floats(tensor.name)
      if tensor.name == "decoder.conv_out.bias" { elements[0] = .nan }
      return .float32(elements)
    }
    let outcome = try MPIRun.run(
      "mergevq",
      ["tokenizer", "evaluate", "--checkpoint", broken, "--images", "drawn:3,resolution=16"]
        + ["--output", folder + "/broken.json"], rankCount: 2)
    #expect(outcome.status == 70, "\(outcome)")
    #expect(outcome.occurrences(of: "the reconstructions are not finite") == 1, "\(outcome)")
  }

  @Test func severalKeepCountsNeedNoWeightsAndWrongRequestsAreRefused() throws {
    try withRun { folder in
      let output = folder + "/report.json"
      let outcome = try evaluate(folder, ["--output", output, "--keep", "36,64", "--limit", "7"], rankCount: 2)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.occurrences(of: "7 images, ") == 1, "\(outcome)")
      #expect(outcome.occurrences(of: "\n    36  ") == 1 && outcome.occurrences(of: "\n    64  ") == 1, "\(outcome)")
      #expect(outcome.occurrences(of: "rFID") == 0)
      for (arguments, status, message) in [
        (["--output", output], Int32(64), "exists already"),
        (["--output", folder + "/new.json", "--precision-recall"], 64, "needs the features of --inception"),
        (["--output", folder + "/new.json", "--keep", "3"], 64, "cannot merge them into 3 tokens"),
        (["--output", folder + "/new.json", "--lpips", folder + "/recipe.yaml"], 74, "not a valid"),
        (["--output", folder + "/new.json", "--inception", "/no/such/file"], 74, "open failed"),
      ] {
        let refused = try evaluate(folder, arguments, rankCount: 2)
        #expect(refused.status == status, "\(refused)")
        #expect(refused.occurrences(of: message) == 1, "\(refused)")
        #expect(!FileManager.default.fileExists(atPath: folder + "/new.json"))
      }
      try expectRefusalOfNotFiniteWeights(folder)
    }
  }

  @Test func aProbeIsTheSameOnAnyNumberOfRanksAndKnowsClassesFromDrawings() throws {
    try withRun { folder in
      var reports: [Data] = []
      for ranks in [1, 3] {
        let output = folder + "/probe\(ranks).json"
        let outcome = try MPIRun.run(
          "mergevq",
          ["tokenizer", "probe", "--checkpoint", folder + "/run", "--train", "drawn:400,resolution=16,seed=5"]
            + ["--validation", "drawn:150,resolution=16,seed=6", "--output", output, "--optimizer", "sgd"]
            + ["--epochs", "9", "--batch", "64", "--compare-random"], rankCount: ranks, timeout: .seconds(100))
        #expect(outcome.status == 0, "\(outcome)")
        for text in ["token-mean of 32 values at 49 tokens, 12 classes, 400 images to train on", "training gained"] {
          #expect(outcome.occurrences(of: text) == 1, "\(text): \(outcome)")
        }
        reports.append(try Data(contentsOf: URL(filePath: output)))
      }
      #expect(reports[0] == reports[1])
      let report = try #require(try JSONSerialization.jsonObject(with: reports[0]) as? [String: Any])
      let rows = try #require(report["rows"] as? [[String: Any]])
      #expect(rows.map { $0["weights"] as? String } == ["trained", "random"])
      // Twelve classes by chance are 8 %.
      for row in rows {
        for kind in ["linear", "neighbours"] {
          let accuracy = try #require(row[kind] as? [String: Double])
          #expect(try #require(accuracy["top1"]) > 0.16, "\(kind): \(accuracy)")
          #expect(try #require(accuracy["top5"]) >= #require(accuracy["top1"]))
        }
      }
      for (arguments, status, message) in [
        (["--train", "/no/such/folder", "--validation", "drawn:9"], Int32(65), "no such file or folder"),
        (["--train", "drawn:99", "--validation", "drawn:9", "--keep", "3"], 64, "cannot merge them into 3 tokens"),
        (["--train", "drawn:99", "--validation", "drawn:9", "--epochs", "0"], 64, "--epochs 0: is out of range"),
      ] {
        let refused = try MPIRun.run(
          "mergevq",
          ["tokenizer", "probe", "--checkpoint", folder + "/run", "--output", folder + "/new.json"] + arguments,
          rankCount: 2)
        #expect(refused.status == status, "\(refused)")
        #expect(refused.occurrences(of: message) == 1, "\(refused)")
      }
    }
  }
}
