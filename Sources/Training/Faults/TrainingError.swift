public import Collectives

/// Why training cannot go on. Thrown on every rank alike.
public enum TrainingError: AgreedError, Equatable, CustomStringConvertible {
  /// The loss or gradients of a step are not finite, and `run.faults` says to stop, or too many steps in a row were so.
  case nonFinite(step: Int, inARow: Int, detail: String)

  /// Restarting would not help.
  public var exitStatus: Int32 { 70 }

  /// What happened and what may help.
  public var description: String {
    switch self {
    case .nonFinite(let step, let inARow, let detail):
      "step \(step): \(detail); no parameter was changed"
        + (inARow > 1 ? ". That was number \(inARow) in a row (run.faults.nonFiniteInARow)" : "")
        + ". Look at the samples in non-finite.jsonl, lower optimizer.learningRate or set optimizer.clipNorm, and start "
        + "again: the run resumes before this step"
    }
  }
}
