import Tensors

/// Decides which samples skip which residual branches in a training step.
///
/// A pure function of (seed, step, global sample, block, branch), so that it does not depend on how a batch is spread
/// over ranks, and a resumed run repeats it.
public struct StochasticDepth: Sendable {
  /// The run's seed.
  public var seed: UInt64
  /// The number, in the whole run, of the first sample of this rank's batch.
  public var firstSample: Int

  /// Draws for the batch that starts with the run's sample `firstSample`.
  public init(seed: UInt64, firstSample: Int) {
    self.seed = seed
    self.firstSample = firstSample
  }

  /// Per sample 0 with probability `rate`, and 1/(1 − rate) otherwise.
  func factors(rate: Float, block: Int, branch: Int, batch: Int) -> [Float] {
    (0..<batch).map { sample in
      var random = SplitMix64(seed: seed, 0x6472_6f70, UInt64(firstSample + sample), UInt64(block * 2 + branch))
      return random.nextUnit() < rate ? 0 : 1 / (1 - rate)
    }
  }
}
