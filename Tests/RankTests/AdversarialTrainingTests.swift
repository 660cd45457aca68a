import Checkpointing
import Foundation
import Layers
import TestSupport
import Testing

/// Training with everything that the objective of stage 1 may have: LPIPS, discriminator, teacher; with real processes.
extension RankTests {
  @Suite struct AdversarialTraining {
    private let folder: URL

    init() throws {
      folder = FileManager.default.temporaryDirectory.appending(component: "adversarial-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func path(_ name: String) -> String { folder.appending(component: name).path }

    /// A recipe small enough for seconds, with weights by the fixtures' rule.
    ///
    /// The entropy term is soft and Adam's ε above the rounding of gradients that should vanish: otherwise both turn
    /// rounding into steps, and the comparison would be of noise. (At a temperature of 0.01 and an ε of 1e-8 one rank and
    /// four differ by 1.5e-4 after five steps; here by at most 5e-6.)
    private func recipe(steps: Int, adaptive: Bool) throws -> String {
      try Self.write(lpipsShapes, to: path("lpips.safetensors"))
      try Self.write(teacherShapes, to: path("teacher.safetensors"))
      let text = """
        name: adversarial-test
        \(SmallModel.ofGrid8)
          head: layer2
          headOutputs: 64
          recoveryPositions: true
          dropPath: 0.2
        run: {steps: \(steps), logEvery: 1, validateEvery: 0, checkpointEvery: 3, keepLast: 2, threads: 1, convolutions: accurate}
        data: {train: "drawn:20,resolution=16,seed=3", flip: true}
        batch: {global: 8}
        loss:
          entropyTemperature: 0.5
          perceptual: {weight: 1.0, network: {files: [\(path("lpips.safetensors"))]}}
          adversarial: {weight: \(adaptive ? 0.8 : 0.1), adaptive: \(adaptive), startStep: 1, channels: 8, layers: 2}
        alignment:
          kind: divergence
          resolution: 16
          teacher: {files: [\(path("teacher.safetensors"))]}
          strongView: {augmentation: {brightness: 0.4, greyscaleProbability: 0.2}}
        optimizer: {learningRate: 1.0e-4, epsilon: 1.0e-4, clipNorm: 1.0, emaDecay: 0.9}
        discriminatorOptimizer: {learningRate: 1.0e-4, epsilon: 1.0e-4, clipNorm: 1.0}
        """
      try text.write(toFile: path("recipe.yaml"), atomically: true, encoding: .utf8)
      return path("recipe.yaml")
    }

    @Test(arguments: [false, true])
    func theWorldSizeChangesNothingButTheOrderOfSums(adaptive: Bool) throws {
      let recipe = try recipe(steps: 5, adaptive: adaptive)
      for ranks in [1, 4] {
        let outcome = try MPIRun.run("rank-checks", ["train", recipe, path("ranks\(ranks)")], rankCount: ranks)
        #expect(outcome.status == 0, "\(outcome.standardError)")
      }
      let (one, four) = (try checkpoint(5, of: path("ranks1")), try checkpoint(5, of: path("ranks4")))
      for part in ["encoder.", "recovery.", "decoder.", "loss.discriminator."] {
        let keys = one.shapes(ofKind: "model").keys.filter { $0.hasPrefix(part) }.sorted()
        #expect(!keys.isEmpty)
        let values = try [one, four].map { checkpoint in
          try keys.flatMap { try checkpoint.floats(kind: "model", key: $0).map(Double.init) }
        }
        #expect(relativeDistance(values[1], from: values[0]) < 1e-4, "\(part)")
      }
      let memories = try [one, four].map { try memory(of: $0) }
      #expect(memories[0].count == 2 * (16 + 32) + 2)
      #expect(relativeDistance(memories[1], from: memories[0]) < 1e-4)
      let curves = try ["discriminator", "adversarial", "alignment", "perceptual"].map { name in
        try ["ranks1", "ranks4"].map { try curve(name, of: path($0)) }
      }
      for curve in curves {
        #expect(!curve[0].isEmpty)
        #expect(relativeDistance(curve[1], from: curve[0]) < 1e-4)
      }
      // The discriminator takes part from step 1 on, counted from 0.
      #expect(curves[0][0].count == 4 && curves[2][0].count == 5)
      try FileManager.default.removeItem(at: folder)
    }

    @Test func aKilledRunResumesBitForBitWithBothOptimizers() throws {
      let recipe = try recipe(steps: 6, adaptive: true)
      let (straight, broken) = (path("straight"), path("broken"))
      #expect(try MPIRun.run("rank-checks", ["train", recipe, straight], rankCount: 2).status == 0)
      #expect(try MPIRun.run("rank-checks", ["train", recipe, broken, "die:beforeRename"], rankCount: 2).status != 0)
      let resumed = try MPIRun.run("rank-checks", ["train", recipe, broken], rankCount: 2)
      #expect(resumed.status == 0, "\(resumed.standardError)")
      #expect(resumed.standardOutput.contains("after step 3"))
      let (a, b) = (try checkpoint(6, of: straight), try checkpoint(6, of: broken))
      #expect(a.manifest.state == b.manifest.state)
      #expect(a.manifest.state.contains("runningMean"))
      let files = a.manifest.files.map { [$0.name, $0.sha256] }
      #expect(files.count == 8)
      #expect(files == b.manifest.files.map { [$0.name, $0.sha256] })
      try FileManager.default.removeItem(at: folder)
    }

    private func checkpoint(_ step: Int, of run: String) throws -> CheckpointReader {
      try CheckpointReader(directory: CheckpointFolder(runDirectory: run).directory(ofStep: step))
    }

    /// LeCAM's averages and the running statistics.
    private func memory(of checkpoint: CheckpointReader) throws -> [Double] {
      let state = try JSONSerialization.jsonObject(with: Data(checkpoint.manifest.state.utf8)) as? [String: Any]
      let adversary = try #require(state?["adversary"] as? [String: Any])
      let lecam = try #require(adversary["lecam"] as? [String: Double])
      let running = try ["runningMean", "runningVariance"].flatMap { key in
        try #require(adversary[key] as? [String: [Double]]).sorted { $0.key < $1.key }.flatMap(\.value)
      }
      return lecam.sorted { $0.key < $1.key }.map(\.value) + running
    }

    /// One value of every training record that has it, in order.
    private func curve(_ name: String, of run: String) throws -> [Double] {
      try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap { line in
        let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return record?["kind"] as? String == "train" ? record?[name] as? Double : nil
      }
    }

    private func relativeDistance(_ a: [Double], from b: [Double]) -> Double {
      guard a.count == b.count else { return .infinity }
      let difference = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      return (difference / b.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }

    /// Writes tensors of these names and shapes with weights by rule.
    private static func write(_ shapes: [(name: String, shape: [Int])], to path: String) throws {
      let byName = Dictionary(shapes.map { ($0.name, $0.shape) }) { $1 }
      let tensors = shapes.compactMap { TensorDescription(name: $0.name, elementType: .float32, shape: $0.shape) }
      try Safetensors.write(tensors, metadata: [:], to: path) { tensor in
        let weights = WeightsByRule().weights(tensor.name, shape: byName[tensor.name] ?? [])
        return .float32(tensor.name.hasPrefix("lin") ? weights.map(abs) : weights)
      }
    }

    /// VGG-16's convolutions and LPIPS's weights.
    private var lpipsShapes: [(name: String, shape: [Int])] {
      var shapes: [(name: String, shape: [Int])] = []
      var (inputs, index) = (3, 0)
      for (stage, (width, depth)) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)].enumerated() {
        for _ in 0..<depth {
          shapes += [("features.\(index).weight", [width, inputs, 3, 3]), ("features.\(index).bias", [width])]
          (inputs, index) = (width, index + 2)
        }
        index += 1
        shapes.append(("lin\(stage).model.1.weight", [1, width, 1, 1]))
      }
      return shapes
    }

    /// A DINOv2 of one block of 64 channels, patches of 8 pixels on images of 16.
    private var teacherShapes: [(name: String, shape: [Int])] {
      let block = "encoder.layer.0."
      var shapes: [(name: String, shape: [Int])] = [
        ("embeddings.cls_token", [1, 1, 64]), ("embeddings.position_embeddings", [1, 5, 64]),
        ("embeddings.patch_embeddings.projection.weight", [64, 3, 8, 8]),
        ("embeddings.patch_embeddings.projection.bias", [64]), (block + "layer_scale1.lambda1", [64]),
        (block + "layer_scale2.lambda1", [64]), (block + "mlp.fc1.weight", [256, 64]), (block + "mlp.fc1.bias", [256]),
        (block + "mlp.fc2.weight", [64, 256]), (block + "mlp.fc2.bias", [64]),
      ]
      for name in ["q", "k", "v", "o"] {
        shapes += [(block + "attention.\(name)_proj.weight", [64, 64]), (block + "attention.\(name)_proj.bias", [64])]
      }
      for name in [block + "norm1", block + "norm2", "layernorm"] {
        shapes += [(name + ".weight", [64]), (name + ".bias", [64])]
      }
      return shapes
    }
  }
}
