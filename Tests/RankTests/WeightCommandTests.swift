import Checkpointing
import Foundation
import TestSupport
import Testing

/// What a user does with a trained tokenizer's weights and codes, with real processes.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct WeightCommandTests {
  /// A run of two steps on two ranks, made once for all tests.
  private static let playground = Result { try Playground() }

  private struct Playground {
    let folder: URL

    init() throws {
      folder = try SharedFolder.create("weights")
      try recipe.write(to: folder.appending(component: "recipe.yaml"), atomically: true, encoding: .utf8)
      for (name, seed) in [("run", "1"), ("other", "2")] {
        let outcome = try MPIRun.run(
          "mergevq",
          ["tokenizer", "train", path("recipe.yaml"), "--set", "run.seed=\(seed)"]
            + ["--set", "run.directory=\(path(name))"], rankCount: 2)
        guard outcome.status == 0 else { throw Failure(description: outcome.standardError) }
      }
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    func path(_ name: String) -> String { folder.appending(component: name).path }

    private let recipe = """
      name: weight-test
      \(SmallModel.ofGrid8)
        head: none
      run: {steps: 2, logEvery: 1, validateEvery: 0, checkpointEvery: 1, keepLast: 2}
      data: {train: "drawn:20,resolution=16,seed=3"}
      batch: {global: 4}
      optimizer: {learningRate: 1.0e-3, emaDecay: 0.5}
      """
  }

  private func path(_ name: String) throws -> String { try Self.playground.get().path(name) }

  private func run(_ arguments: [String], rankCount: Int = 1) throws -> MPIRun.Outcome {
    try MPIRun.run("mergevq", arguments, rankCount: rankCount)
  }

  private static let images = "drawn:37,resolution=16,seed=9"

  // MARK: checkpoint

  @Test func inspectTellsStepRanksRecipeAndSizesOnce() throws {
    let outcome = try run(["checkpoint", "inspect", path("run")], rankCount: 2)
    #expect(outcome.status == 0, "\(outcome)")
    let words = outcome.standardOutput.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for text in [
      "step 2 ", "data cursor 8 samples", "written by 2 ranks, format 1", "recipe weight-test",
      "ema-00001-of-00002.safetensors", "older: step-00000001", "total",
    ] {
      #expect(words.components(separatedBy: text).count == 2, "\(text): \(outcome)")
    }
  }

  @Test func verifyNamesEveryProblemAndEndsWith74() throws {
    let copy = try path("damaged")
    try FileManager.default.copyItem(atPath: path("run"), toPath: copy)
    let good = try run(["checkpoint", "verify", copy], rankCount: 2)
    #expect(good.status == 0, "\(good)")
    #expect(good.occurrences(of: "good: ") == 2)

    let newest = CheckpointFolder(runDirectory: copy).directory(ofStep: 2)
    let files = try FileManager.default.contentsOfDirectory(atPath: newest).filter { $0.hasPrefix("model") }.sorted()
    try flipByte(of: newest + "/" + files[0])
    try FileManager.default.removeItem(atPath: newest + "/" + files[1])
    try Data([1]).write(to: URL(filePath: CheckpointFolder(runDirectory: copy).directory(ofStep: 1) + "/mine.txt"))
    let bad = try run(["checkpoint", "verify", copy], rankCount: 2)
    #expect(bad.status == 74, "\(bad)")
    #expect(bad.occurrences(of: "\(files[0]): SHA-256 is ") == 1, "\(bad)")
    #expect(bad.occurrences(of: "the file '\(files[1])' is missing") == 1, "\(bad)")
    #expect(bad.occurrences(of: "good: ") == 1)
    #expect(bad.occurrences(of: "note: ") == 1)

    let nothing = try run(["checkpoint", "verify", path("nothing")])
    #expect(nothing.status == 64)
    #expect(nothing.occurrences(of: "there is no checkpoint here") == 1)
  }

  private func flipByte(of path: String) throws {
    var content = try Data(contentsOf: URL(filePath: path))
    content[content.count / 2] ^= 0x10
    try content.write(to: URL(filePath: path))
  }

  @Test(arguments: ["ema", "model"])
  func exportAndImportChangeNoBit(weights: String) throws {
    let (exported, imported) = try (path("\(weights).safetensors"), path("\(weights)-again.safetensors"))
    let export = try run(["checkpoint", "export", path("run"), "--output", exported, "--weights", weights])
    #expect(export.status == 0, "\(export)")
    let recipe = try path("recipe.yaml")
    let importing = try run([
      "checkpoint", "import", exported, "--as", "tokenizer", "--recipe", recipe, "--output", imported, "--list",
    ])
    #expect(importing.status == 0, "\(importing)")
    #expect(importing.occurrences(of: "matched: encoder.conv_in.weight\n") == 1)

    let (first, second) = (try Safetensors(path: exported), try Safetensors(path: imported))
    #expect(first.tensors == second.tensors)
    let checkpoint = try CheckpointReader(
      directory: CheckpointFolder(runDirectory: path("run")).directory(ofStep: 2))
    #expect(Set(first.names) == Set(checkpoint.shapes(ofKind: weights).keys))
    for name in first.names {
      #expect(try first.floats(name) == second.floats(name), "\(name)")
      // Same values; convolutions lie in another order.
      #expect(try first.floats(name).sorted() == checkpoint.floats(kind: weights, key: name).sorted(), "\(name)")
    }
    // [out, in, height, width], as published.
    #expect(try first.shape(of: "encoder.conv_in.weight") == [32, 3, 3, 3])
    #expect(checkpoint.shapes(ofKind: weights)["encoder.conv_in.weight"] == [3, 3, 3, 32])
    let again = try run(["checkpoint", "export", path("run"), "--output", exported])
    #expect(again.status == 64)
    #expect(again.occurrences(of: "exists already") == 1)
  }

  /// What the authors' trainer would leave: trained values, their average under flat names, a loss, a counter.
  private static let script = """
    import json, struct, sys, torch
    def load(path):
        data = open(path, "rb").read()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        header.pop("__metadata__")
        return {
            name: torch.frombuffer(
                bytearray(data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]]),
                dtype=torch.float32).reshape(entry["shape"])
            for name, entry in header.items()
        }
    state = load(sys.argv[1])
    state.update({"model_ema." + name.replace(".", ""): value for name, value in load(sys.argv[2]).items()})
    state["model_ema.decay"] = torch.tensor(0.999)
    state["loss.discriminator.main.0.bias"] = torch.zeros(3)
    torch.save({"state_dict": state, "global_step": 2}, sys.argv[3])
    """

  @Test func aCheckpointByTheInstalledPyTorchImportsBitForBit() throws {
    let names = try ["model", "ema"].map { try path("torch-\($0).safetensors") }
    for (name, choice) in zip(names, ["model", "ema"]) {
      #expect(try run(["checkpoint", "export", path("run"), "--output", name, "--weights", choice]).status == 0)
    }
    let checkpoint = try path("torch.ckpt")
    let python = ProcessInfo.processInfo.environment["MERGEVQ_PYTHON"] ?? "python3"
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [python, "-c", Self.script] + names + [checkpoint]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      print("skipped: no PyTorch in \(python)")
      return
    }
    for (name, choice) in zip(names, ["model", "ema"]) {
      let imported = try path("torch-\(choice)-imported.safetensors")
      let outcome = try run(
        [
          "checkpoint", "import", checkpoint, "--as", "tokenizer", "--recipe", path("recipe.yaml"), "--output",
          imported,
        ]
          + ["--weights", choice])
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.occurrences(of: "not needed: 1 tensors of loss.discriminator") == 1, "\(outcome)")
      let (expected, found) = (try Safetensors(path: name), try Safetensors(path: imported))
      #expect(expected.tensors == found.tensors)
      for tensor in expected.names { #expect(try expected.floats(tensor) == found.floats(tensor), "\(tensor)") }
    }
  }

  @Test func aRunStartsFromAWeightFile() throws {
    let (weights, started, again) = try (
      path("start.safetensors"), path("started"), path("started.safetensors")
    )
    #expect(try run(["checkpoint", "export", path("run"), "--output", weights]).status == 0)
    // So small a rate changes nothing, so the weights must be the file's in the end.
    let training =
      ["tokenizer", "train", try path("recipe.yaml"), "--resume", weights, "--set", "run.directory=\(started)"]
      + ["--set", "optimizer.learningRate=1e-30", "--set", "run.steps=1", "--set", "data.train=drawn:4,resolution=16"]
    let outcome = try run(training, rankCount: 2)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.occurrences(of: "started from the weights in \(weights)") == 1, "\(outcome)")
    #expect(FileManager.default.fileExists(atPath: started + "/codebook.png"))
    let events = try #require(try FileManager.default.contentsOfDirectory(atPath: started + "/tensorboard").first)
    let log = try #require(FileManager.default.contents(atPath: "\(started)/tensorboard/\(events)"))
    for tag in ["codes/log2(1 + uses÷mean)", "validation/reconstructions", "weights/decoder"] {
      #expect(log.range(of: Data(tag.utf8)) != nil, "\(tag)")
    }
    for choice in ["ema", "model"] {
      let exported = choice + "-" + URL(filePath: again).lastPathComponent
      let export = try run(
        ["checkpoint", "export", started, "--output", path(exported), "--weights", choice])
      #expect(export.status == 0, "\(export)")
      let (first, second) = (try Safetensors(path: weights), try Safetensors(path: path(exported)))
      for name in first.names { #expect(try first.floats(name) == second.floats(name), "\(name) of \(choice)") }
    }
    let refused = try run(training)
    #expect(refused.status == 64)
    #expect(refused.occurrences(of: "has a checkpoint already") == 1, "\(refused)")
    let foreign = try run(training + ["--set", "run.directory=\(path("foreign"))", "--set", "model.codeBits=7"])
    #expect(foreign.status == 74, "\(foreign)")
    #expect(foreign.occurrences(of: "encoder.conv_out.weight is [6, 32, 1, 1], expected [7, 32, 1, 1]") == 1)
  }

  @Test func anImportWithoutItsRecipeOrOfSomethingElseIsRefused() throws {
    let other = try path("other.safetensors")
    try Safetensors.write([("some.weight", [2], [1, 2])], to: other)
    let output = try path("refused.safetensors")
    let bare = try run(["checkpoint", "import", other, "--as", "tokenizer", "--output", output])
    #expect(bare.status == 64)
    #expect(bare.occurrences(of: "add --recipe RECIPE.yaml") == 1)
    let recipe = try path("recipe.yaml")
    let foreign = try run([
      "checkpoint", "import", other, "--as", "tokenizer", "--recipe", recipe, "--output", output,
    ])
    #expect(foreign.status == 74)
    #expect(foreign.occurrences(of: "unexpected: some.weight [2]") == 1, "\(foreign)")
    #expect(foreign.occurrences(of: "missing: encoder.conv_in.weight") == 1)
    let damaged = try run(["checkpoint", "import", recipe, "--as", "teacher", "--output", output])
    #expect(damaged.status == 74, "\(damaged)")
    #expect(!FileManager.default.fileExists(atPath: output))
  }

  // MARK: codes

  @Test func codesAreTheSameOnAnyNumberOfRanksAndDecode() throws {
    var files: [Data] = []
    for ranks in [1, 3] {
      let output = try path("codes\(ranks).safetensors")
      let outcome = try run(
        ["tokenizer", "encode", "--checkpoint", path("run"), "--images", Self.images, "--output", output]
          + ["--keep", "36"], rankCount: ranks)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.occurrences(of: "37 images of 36 codes\n") == 1)
      files.append(try Data(contentsOf: URL(filePath: output)))
    }
    #expect(files[0] == files[1])
    let codes = try path("codes1.safetensors")
    let file = try Safetensors(path: codes)
    #expect(try file.shape(of: "codes") == [37, 36])
    #expect(try file.shape(of: "groups") == [37, 64])
    #expect(try file.shape(of: "labels") == [37])

    for source in ["true", "learned"] {
      let grid = try path("grid-\(source).png")
      let drawn = try run(
        ["tokenizer", "decode", "--checkpoint", path("run"), "--codes", codes, "--output", grid, "--source", source])
      #expect(drawn.status == 0, "\(drawn)")
      #expect(FileManager.default.fileExists(atPath: grid))
    }
    let folder = try path("decoded")
    let written = try run(["tokenizer", "decode", "--checkpoint", path("run"), "--codes", codes, "--output", folder])
    #expect(written.status == 0, "\(written)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 37)

    let picture = try path("codebook.png")
    let counted = try run(["tokenizer", "codebook", "--codes", codes, "--output", picture])
    #expect(counted.status == 0, "\(counted)")
    #expect(counted.occurrences(of: "codes counted  \(37 * 36)\n") == 1, "\(counted)")
    #expect(FileManager.default.fileExists(atPath: picture))

    let foreign = try run(
      ["tokenizer", "decode", "--checkpoint", path("other"), "--codes", codes, "--output", path("foreign-images")])
    #expect(foreign.status == 65)
    #expect(foreign.occurrences(of: "made by another tokenizer, 'weight-test, step 2'") == 1, "\(foreign)")
    let existing = try run(
      ["tokenizer", "decode", "--checkpoint", path("run"), "--codes", codes, "--output", folder])
    #expect(existing.status == 64)
    #expect(existing.occurrences(of: "exists already") == 1)
    try expectRefusal(ofCodesLike: file)
  }

  /// A code and a group out of range, and a file without codes.
  private func expectRefusal(ofCodesLike file: Safetensors) throws {
    for (name, value, message) in [
      ("codes", Int32(64), "has the code 64, outside 0..<64"),
      ("groups", 36, "has a position in token 36, outside 0..<36"),
      ("groups", 0, "has tokens that no position belongs to"),
    ] {
      let output = try path("bad-\(name)-\(value).safetensors")
      try Safetensors.write(file.tensors, metadata: file.metadata, to: output) { tensor throws(CheckpointError) in
        var elements = try file.int32s(tensor.name)
        if tensor.name == name { for index in elements.indices.prefix(64) { elements[index] = value } }
        return .int32(elements)
      }
      let outcome = try run(
        ["tokenizer", "decode", "--checkpoint", path("run"), "--codes", output, "--output", path("bad")])
      #expect(outcome.status == 65)
      #expect(outcome.occurrences(of: message) == 1, "\(outcome)")
    }
    let none = try run(
      ["tokenizer", "decode", "--checkpoint", path("run"), "--codes", path("recipe.yaml"), "--output", path("bad")])
    #expect(none.status == 65, "\(none)")
  }

  @Test func anImageThatCannotBeReadIsNamed() throws {
    let outcome = try run(
      ["tokenizer", "encode", "--checkpoint", path("run"), "--images", "/no/such/image.png"]
        + ["--output", path("none.safetensors")], rankCount: 2)
    #expect(outcome.status == 65)
    #expect(outcome.occurrences(of: "/no/such/image.png: no such file or folder") == 1, "\(outcome)")
    let output = try path("none.safetensors")
    #expect(!FileManager.default.fileExists(atPath: output))
  }

  @Test func severalKeepCountsGiveATableAndAPicture() throws {
    let weights = try path("study.safetensors")
    #expect(try run(["checkpoint", "export", path("run"), "--output", weights]).status == 0)
    let picture = try path("study.png")
    let outcome = try run(
      ["tokenizer", "reconstruct", "--checkpoint", weights, "--images", "drawn:3,resolution=16,seed=4"]
        + ["--output", picture, "--keep", "36,49,64", "--source", "learned"])
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.occurrences(of: "tokens   PSNR, dB   sources predicted right\n    36   ") == 1, "\(outcome)")
    #expect(outcome.occurrences(of: "\n    64   ") == 1)
    #expect(FileManager.default.fileExists(atPath: picture))
    for (keep, status) in [("36,x", Int32(64)), ("3", 64)] {
      let refused = try run(
        ["tokenizer", "reconstruct", "--checkpoint", weights, "--images", "drawn:3,resolution=16,seed=4"]
          + ["--output", picture, "--keep", keep])
      #expect(refused.status == status, "\(refused)")
    }
  }
}
