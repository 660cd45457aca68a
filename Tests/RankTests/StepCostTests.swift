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
    /// computed again, and needs at most so many bytes beside parameters, gradients and the optimizer's state.
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

    /// G+R-d32 on one image of 64×64 pixels, 9 of 16 tokens kept. The limits are what a step took when they were written,
    /// and a tenth more.
    private let tokenizer = ["--channels", "32", "--resolution", "64", "--keep", "9", "--batch", "1"]

    @Test func aStepOfTheTokenizerCostsWhatItDid() throws {
      try check(
        "tokenizer-step", tokenizer, operations: 10_654_168_320, none: 46_000_000, elementwise: 30_000_000,
        blocks: 20_000_000)
    }

    @Test func aStepWithLPIPSAndTheDiscriminatorCostsWhatItDid() throws {
      try check(
        "tokenizer-full-step", tokenizer, operations: 21_251_529_984, none: 72_000_000, elementwise: 56_000_000,
        blocks: 44_000_000)
    }

    @Test func aStepOfTheGeneratorComputesItsProductsAndNoMore() throws {
      var config = GeneratorConfig(.base, order: .plain)
      (config.blocks, config.factorizedBlocks, config.width, config.heads, config.gridSize) = (4, 2, 128, 4, 8)
      let (batch, length, width) = (4, config.positionCount, config.width)
      // Two operations per weight and row, forward and in both gradients; attention multiplies twice.
      let weights = 4 * width * width + 3 * width * config.hiddenWidth
      let sequence = config.blocks * (2 * batch * length * weights + 4 * batch * length * length * width)
      let pairs = config.factorizedBlocks * batch * length * (2 * 2 * weights + 4 * 2 * 2 * width)
      let heads = 2 * batch * length * width * config.factorSizes.reduce(0, +)
      try check(
        "generator-step",
        ["--layers", "4", "--factorized-layers", "2", "--width", "128", "--heads", "4", "--grid", "8", "--batch", "4"],
        operations: 3 * (sequence + pairs + heads), none: 32_000_000, elementwise: 25_500_000, blocks: 11_000_000)
    }
  }
}
