import Collectives
import Foundation
import Generator

/// What guessing codes by their frequency in the training data costs: the loss that a generator must beat.
struct UnigramBaseline: Equatable {
  /// Nats per predicted token.
  let loss: Double

  /// Counts the codes of training data and scores others with p(c) = (n_c + 1) / (N + 2^d). Collective.
  /// - Parameters:
  ///   - order: Decides whether duplicates are predicted, and so count.
  ///   - training: Calls its argument with this rank's share of the training codes.
  ///   - validation: Calls its argument with this rank's share of the codes that are scored.
  init(
    codeBits: Int, order: GeneratorConfig.Order, communicator: any Communicator,
    training: (_ body: (CodeBatch) throws -> Void) throws -> Void,
    validation: (_ body: (CodeBatch) throws -> Void) throws -> Void
  ) throws {
    func counts(_ pass: (_ body: (CodeBatch) throws -> Void) throws -> Void) throws -> [Int64] {
      var counts = [Int64](repeating: 0, count: 1 << codeBits)
      try communicator.collectively("counting codes") {
        try pass { batch in
          for code in batch.targets(order: order) { counts[Int(code)] += 1 }
        }
      }
      try communicator.allReduce(&counts, .sum)
      return counts
    }
    let known = try counts(training)
    let scored = try counts(validation)
    let total = Double(known.reduce(0, +) + Int64(known.count))
    var (sum, count) = (0.0, 0.0)
    for (seen, uses) in zip(known, scored) where uses > 0 {
      sum -= Double(uses) * log(Double(seen + 1) / total)
      count += Double(uses)
    }
    loss = count > 0 ? sum / count : 0
  }
}
