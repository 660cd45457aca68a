/// How a global batch is worked through by some number of ranks: the same batch whatever the number.
public struct LaunchShape: Sendable, Equatable {
  /// How many ranks are started.
  public let rankCount: Int
  /// Rounds of forward and backward of a step.
  public let accumulation: Int

  /// The most ranks, up to `slots`, that divide the global batch; and the fewest rounds in which no rank has more than
  /// `samplesPerRank` samples at a time.
  public init(slots: Int, globalBatch: Int, samplesPerRank: Int) {
    guard slots > 0, globalBatch > 0, samplesPerRank > 0 else {
      fatalError("LaunchShape(slots: \(slots), globalBatch: \(globalBatch), samplesPerRank: \(samplesPerRank))")
    }
    // One rank divides every batch, and one sample a round fits every limit.
    let rankCount = stride(from: min(slots, globalBatch), through: 1, by: -1).first(where: globalBatch.isMultiple) ?? 1
    let share = globalBatch / rankCount
    self.rankCount = rankCount
    accumulation = (1...share).first { share.isMultiple(of: $0) && share / $0 <= samplesPerRank } ?? share
  }
}
