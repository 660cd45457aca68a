/// The steps at which a run had to go back to a checkpoint.
struct Rollbacks {
  /// Steps, counted from 0, to be passed over when they come round again.
  private(set) var excludedSteps: Set<Int> = []
  private let limit: Int
  private var inARow = 0
  private var lastStart: Int?

  /// Allows `limit` rollbacks to one checkpoint.
  init(limit: Int) { self.limit = limit }

  /// Takes note that `step` was not finite in a stretch that began behind `start` steps.
  /// - Throws: `TrainingError` if no checkpoint has come between this rollback and `limit` before it.
  mutating func note(step: Int, start: Int) throws(TrainingError) {
    inARow = start == lastStart ? inARow + 1 : 1
    lastStart = start
    excludedSteps.insert(step)
    guard inARow > limit else { return }
    throw .nonFinite(
      step: step + 1, inARow: inARow, detail: "the run goes back to the checkpoint of step \(start) again and again")
  }
}
