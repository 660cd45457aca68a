import Tensors

/// The random decisions of a training step: pure functions of (seed, purpose, global sample), so that they do not depend
/// on how a batch is spread over ranks, and a resumed run repeats them.
public struct TrainingDraws: Sendable {
  /// The run's seed.
  public var seed: UInt64
  /// The number, in the whole run, of the first sample of this rank's batch.
  public var firstSample: Int

  /// Draws for the batch that starts with the run's sample `firstSample`.
  public init(seed: UInt64, firstSample: Int) {
    self.seed = seed
    self.firstSample = firstSample
  }

  private enum Purpose: UInt64 {
    case dropout = 0x6472_6f70
    case classDropout = 0x636c_6173
    case order = 0x6f72_6465
  }

  private func stream(_ purpose: Purpose, sample: Int, _ place: Int = 0) -> SplitMix64 {
    SplitMix64(seed: seed, purpose.rawValue, UInt64(firstSample + sample), UInt64(place))
  }

  /// The mask of the dropout at `place` (a number of its own in the model).
  func mask(rate: Float, place: Int, batch: Int) -> DropoutMask {
    DropoutMask(
      rate: rate,
      keys: (0..<batch).map { sample in
        var random = stream(.dropout, sample: sample, place)
        return random.next()
      })
  }

  /// `classes`, a share of them replaced by the dropped class.
  public func dropping(_ classes: [Int32], config: GeneratorConfig) -> [Int32] {
    classes.enumerated().map { sample, label in
      var random = stream(.classDropout, sample: sample)
      return random.nextUnit() < config.classDropout ? Int32(config.droppedClass) : label
    }
  }

  /// A random order of `count` things for every sample: `batch·count` numbers.
  public func orders(batch: Int, count: Int) -> [Int32] {
    (0..<batch).flatMap { sample in
      var random = stream(.order, sample: sample)
      return (0..<Int32(count)).shuffled(using: &random)
    }
  }
}
