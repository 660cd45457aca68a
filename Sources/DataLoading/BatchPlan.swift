/// Which images make up which batch of one rank: everything about loading that is arithmetic.
struct BatchPlan: Sendable {
  let order: LoadingOrder
  let sampler: Sampler
  let batchSize: Int
  let rank: Int
  let worldSize: Int

  /// How many images beyond an unusable one are tried in its place.
  static let replacementLimit = 64

  /// Steps of a sequential pass, the same on every rank; `nil` without end.
  var stepCount: Int? {
    let globalBatchSize = batchSize * worldSize
    return order == .sequential ? (sampler.count + globalBatchSize - 1) / globalBatchSize : nil
  }

  /// The positions that this rank's batch of a step stands for.
  func positions(step: Int) -> Range<Int> {
    switch order {
    case .shuffled(let cursor):
      return Sampler.positions(step: step, from: cursor, rank: rank, worldSize: worldSize, batchSize: batchSize)
    case .sequential:
      return Sampler.positions(step: step, rank: rank, worldSize: worldSize, batchSize: batchSize)
        .clamped(to: 0..<sampler.count)
    }
  }

  /// The position after the global batch of a step.
  func cursor(afterStep step: Int) -> Int {
    switch order {
    case .shuffled(let cursor): cursor + (step + 1) * worldSize * batchSize
    case .sequential: min((step + 1) * worldSize * batchSize, sampler.count)
    }
  }

  /// The images that may stand at a position, the intended one first.
  var candidateCount: Int { order == .sequential ? 1 : min(Self.replacementLimit + 1, sampler.count) }

  func candidate(_ attempt: Int, at position: Int) -> Int {
    order == .sequential ? position : sampler.sample(at: position, shiftedBy: attempt)
  }
}
