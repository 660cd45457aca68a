import DataLoading
import Tokenizer

/// Shuffled codes of a folder, as a training takes them.
///
/// An epoch has every image once, in one of its views by chance. Image, view and keep count are functions of the seed
/// and the position in the run alone.
final class CodeSource: BatchSource {
  private let dataset: CodeDataset
  private let sampler: Sampler
  private let seed: UInt64
  private let schedule: KeepSchedule
  private let share: RankShare
  private var round: Int

  /// - Parameters:
  ///   - cursor: Images of the run before the first batch.
  init(dataset: CodeDataset, seed: UInt64, schedule: KeepSchedule, share: RankShare, cursor: Int) {
    self.dataset = dataset
    self.seed = seed
    self.schedule = schedule
    self.share = share
    sampler = Sampler(count: dataset.count, seed: seed)
    round = cursor / share.imagesPerRound
  }

  func next() throws -> CodeBatch {
    let positions = share.positions(round: round)
    round += 1
    let images = positions.map { sampler.sample(at: $0) }
    let views = zip(positions, images).map { position, image in
      var random = KeyedRandom(seed: seed, purpose: .view, epoch: sampler.epoch(at: position), sample: image)
      return random.integer(below: dataset.content.views.count)
    }
    return try dataset.batch(
      images: images, views: views, keep: schedule.keepCount(at: positions.lowerBound),
      firstGlobalIndex: positions.lowerBound)
  }

  var badImageCount: Int { 0 }

  func stop() {}
}

/// Which of the images of a round are a rank's.
struct RankShare {
  let rank: Int
  let worldSize: Int
  /// Images of a rank in one round.
  let batchSize: Int

  /// Images of all ranks in one round.
  var imagesPerRound: Int { batchSize * worldSize }

  func positions(round: Int) -> Range<Int> {
    Sampler.positions(step: round, rank: rank, worldSize: worldSize, batchSize: batchSize)
  }
}

/// The keep count of every training step: the same on every rank, and again the same after a resume.
struct KeepSchedule {
  let counts: [Int]
  let distribution: TokenizerConfig.KeepDistribution
  /// Images of an optimizer step.
  let imagesPerStep: Int

  /// The keep count of the step that the run's image `position` belongs to.
  func keepCount(at position: Int) -> Int {
    MergeSchedule.keepCount(step: position / imagesPerStep, counts: counts, distribution: distribution)
  }
}
