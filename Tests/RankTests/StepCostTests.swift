import Foundation
import Generator
import Testing

extension RankTests {
  /// What a training step costs beside time: memory and operations, counted in a process of its own.
  @Suite struct StepCosts {
    /// What `benchmarks` says of its counted repetitions.
    private struct Report: Decodable {
      let operations: Int
      let systemBlocks: Int
      let workingBytes: Int
    }

    /// Counts two steps after two that do not count.
    private func report(_ name: String, _ options: [String], recomputation: String) throws -> Report {
      // One thread: scratch memory depends on how threads overlap.
      let outcome = try MPIRun(
        command: [MPIRun.product("benchmarks"), name, "--json", "--threads", "1", "--warmup", "2", "--repeat", "2"]
          + options + ["--recomputation", recomputation]
      ).wait(timeout: .seconds(120))
      #expect(outcome.status == 0, "\(outcome)")
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Report.self, from: Data(outcome.standardOutput.utf8))
    }

    /// Checks a steady step: it takes no block from the system, asks for `operations`, which do not depend on what is
    /// computed again, and needs at most so many bytes for activations and gradients.
    private func check(
      _ name: String, _ options: [String], operations: Int, none: Int, elementwise: Int, blocks: Int
    ) throws {
      for (recomputation, limit) in [("none", none), ("elementwise", elementwise), ("blocks", blocks)] {
        let report = try report(name, options, recomputation: recomputation)
        #expect(report.systemBlocks == 0, "\(name), \(recomputation): \(report)")
        #expect(report.operations == operations, "\(name), \(recomputation): \(report)")
        #expect(report.workingBytes <= limit, "\(name), \(recomputation): \(report)")
      }
    }

    /// G+R-d32 on four images of 64×64 pixels, 9 of 16 tokens kept, but narrow at low resolutions, so that activations are
    /// more than gradients. The limits are what a step took when they were written, and a tenth more.
    private let tokenizer = [
      "--channels", "32", "--multiplier", "2", "--resolution", "64", "--keep", "9", "--batch", "4",
    ]

    @Test func aStepOfTheTokenizerCostsWhatItDid() throws {
      try check(
        "tokenizer-step", tokenizer, operations: 27_160_286_208, none: 144_000_000, elementwise: 87_000_000,
        blocks: 58_000_000)
    }

    @Test func aStepWithLPIPSAndTheDiscriminatorCostsWhatItDid() throws {
      try check(
        "tokenizer-full-step", tokenizer, operations: 69_549_732_864, none: 200_000_000, elementwise: 142_000_000,
        blocks: 107_000_000)
    }

    @Test func tensorsLeaveAddressesToOthersWhereTheyAreLimited() throws {
      let step = "tokenizer-step --threads 1 --channels 32 --resolution 64 --keep 9 --batch 1 --warmup 0 --repeat 1"
      let outcome = try MPIRun(
        command: ["sh", "-c", "ulimit -v 2000000; exec '\(MPIRun.product("benchmarks"))' \(step)"]
      ).wait(timeout: .seconds(60))
      #expect(outcome.status == 0, "\(outcome)")
    }

    @Test func aStepOfTheGeneratorComputesItsProductsAndNoMore() throws {
      var config = GeneratorConfig(.base, order: .plain)
      (config.blocks, config.factorizedBlocks, config.width, config.heads, config.gridSize) = (4, 2, 128, 4, 8)
      let (batch, length, width) = (8, config.positionCount, config.width)
      // Two operations per weight and row, forward and in both gradients; attention multiplies twice.
      let weights = 4 * width * width + 3 * width * config.hiddenWidth
      let sequence = config.blocks * (2 * batch * length * weights + 4 * batch * length * length * width)
      let pairs = config.factorizedBlocks * batch * length * (2 * 2 * weights + 4 * 2 * 2 * width)
      let heads = 2 * batch * length * width * config.factorSizes.reduce(0, +)
      try check(
        "generator-step",
        ["--layers", "4", "--factorized-layers", "2", "--width", "128", "--heads", "4", "--grid", "8", "--batch", "8"],
        operations: 3 * (sequence + pairs + heads), none: 66_000_000, elementwise: 52_000_000, blocks: 28_000_000)
    }
  }
}
