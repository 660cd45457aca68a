import Checkpointing
import Foundation
import TestSupport
import Testing

/// A folder for the runs of one test, with a recipe small enough for seconds.
struct TrainingPlayground {
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
  /// Exact convolutions, so that runs of different world sizes stay together for longer: gradients differ in the order of
  /// their sums, and where that flips the sign of a latent near zero the runs part.
  static let recipe = """
    name: rank-test
    \(SmallModel.ofGrid8)
      head: none
      dropPath: 0.2
    run: {steps: 6, logEvery: 1, validateEvery: 0, checkpointEvery: 3, keepLast: 2, threads: 1, convolutions: accurate}
    data: {train: "drawn:20,resolution=16,seed=3", flip: true}
    batch: {global: 8}
    optimizer: {learningRate: 1.0e-4, clipNorm: 1.0, emaDecay: 0.9}
    """

  /// Starts a training; the arguments are those of `rank-checks train` behind the run's directory.
  func start(_ name: String, _ arguments: [String] = [], ranks: Int = 2) throws -> MPIRun {
    try MPIRun("rank-checks", ["train", recipe, run(name)] + arguments, rankCount: ranks)
  }

  /// Trains from start to end.
  func train(_ name: String, _ arguments: [String] = [], ranks: Int = 2) throws -> MPIRun.Outcome {
    try start(name, arguments, ranks: ranks).wait()
  }

  /// One value of every training record, in order.
  func curve(_ name: String, of run: String) throws -> [Double] {
    try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap { line in
      let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return record?["kind"] as? String == "train" ? record?[name] as? Double : nil
    }
  }

  /// The records of finished epochs as they were written.
  func epochs(of run: String) throws -> [String] {
    try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map(String.init)
      .filter { $0.contains("\"kind\":\"epoch\"") }
  }

  /// The folder of a checkpoint of a run.
  func checkpoint(_ step: Int, of run: String) -> String {
    CheckpointFolder(runDirectory: run).directory(ofStep: step)
  }

  /// ‖a − b‖ / ‖b‖ over all parameters of step 6.
  func relativeDistance(_ kind: String, from reference: String, to run: String) throws -> Double {
    let a = try CheckpointReader(directory: checkpoint(6, of: run))
    let b = try CheckpointReader(directory: checkpoint(6, of: reference))
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
  func bytes(of run: String, step: Int = 6) throws -> [String: Data] {
    let folder = checkpoint(step, of: run)
    var result: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".safetensors") {
      result[name] = try Data(contentsOf: URL(filePath: folder + "/" + name))
    }
    return result
  }

  /// What an undisturbed run of two ranks ends with: what every drill must end with, too.
  struct Reference: Sendable {
    let bytes: [String: Data]
    let losses: [Double]
    /// Step 3 is in the middle of an epoch: its codes so far are in the checkpoint.
    let epochs: [String]

    static let ofTwoRanks: Result<Reference, any Error> = Result {
      let playground = try TrainingPlayground()
      let outcome = try playground.train("straight")
      #expect(outcome.status == 0, "\(outcome)")
      let run = playground.run("straight")
      let reference = Reference(
        bytes: try playground.bytes(of: run), losses: try playground.curve("loss", of: run),
        epochs: try playground.epochs(of: run))
      try playground.remove()
      return reference
    }
  }

  /// Expects a run to have ended as if nothing had happened, bit for bit.
  func expectUndisturbed(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let reference = try Reference.ofTwoRanks.get()
    #expect(reference.bytes.count == 8, sourceLocation: sourceLocation)
    let found = try bytes(of: run(name))
    #expect(found.keys.sorted() == reference.bytes.keys.sorted(), sourceLocation: sourceLocation)
    for (file, content) in reference.bytes {
      #expect(found[file] == content, "\(file) differs", sourceLocation: sourceLocation)
    }
    #expect(try curve("loss", of: run(name)) == reference.losses, sourceLocation: sourceLocation)
    #expect(reference.epochs.count == 3, sourceLocation: sourceLocation)
    #expect(try epochs(of: run(name)) == reference.epochs, sourceLocation: sourceLocation)
    let names = try FileManager.default.contentsOfDirectory(atPath: run(name) + "/checkpoints")
    #expect(names.allSatisfy { !$0.contains("partial") && !$0.contains("replaced") }, sourceLocation: sourceLocation)
  }
}
