import Foundation
import Synchronization

/// What one rank does, and when, in the steps that `run.traceSteps` names: phases of the step one after the other, and
/// within them collective operations. Outside of those steps nothing is noted.
final class StepTimeline: Sendable {
  /// The timeline in force, to which parts of a step tell their phases; set around a training with `$current.withValue`.
  @TaskLocal static var current: StepTimeline?

  /// Something that took time.
  struct Span: Codable, Sendable, Equatable {
    /// What it was: a step, a phase, an operation.
    var name: String
    /// Which thread it was on.
    var thread: Thread
    /// Seconds since the timeline began, by this rank's clock.
    var start: Double
    /// The same, not before `start`.
    var end: Double
  }

  /// The threads of a rank that a timeline follows.
  enum Thread: Int, Codable, Sendable, CaseIterable {
    /// Phases and the operations that training waits for.
    case training
    /// Reductions of gradients beside the backward pass.
    case reduction
  }

  fileprivate struct State {
    var spans: [Span] = []
    var step: (name: String, start: Double)?
    var phase: (name: String, start: Double)?
  }

  /// Steps to note, counted from 1.
  let steps: Set<Int>
  private let origin = ContinuousClock.now
  private let state = Mutex(State())

  /// A timeline of some steps, counted from 1.
  init(steps: [Int]) { self.steps = Set(steps) }

  /// Seconds since the timeline began.
  var now: Double { seconds(.now) }

  /// What was noted so far: inner spans before those around them.
  var spans: [Span] { state.withLock { $0.spans } }

  private func seconds(_ instant: ContinuousClock.Instant) -> Double { (instant - origin) / .seconds(1) }

  /// Begins a step, if it is one to note.
  func begin(step: Int) {
    guard steps.contains(step) else { return }
    let now = now
    state.withLock { $0.step = ("step \(step)", now) }
  }

  /// Says what the rank does from now on.
  func enter(_ phase: String) {
    let now = now
    state.withLock {
      guard $0.step != nil else { return }
      $0.endPhase(at: now)
      $0.phase = (phase, now)
    }
  }

  /// Ends the step that was begun.
  func endStep() {
    let now = now
    state.withLock {
      $0.endPhase(at: now)
      if let step = $0.step { $0.spans.append(Span(name: step.name, thread: .training, start: step.start, end: now)) }
      $0.step = nil
    }
  }

  /// Notes an operation that has ended, if a step is being noted.
  func note(_ name: String, on thread: Thread, from start: ContinuousClock.Instant, to end: ContinuousClock.Instant) {
    let span = Span(name: name, thread: thread, start: seconds(start), end: seconds(end))
    state.withLock {
      // What began before the step would stick out of it.
      guard let step = $0.step, span.start >= step.start else { return }
      $0.spans.append(span)
    }
  }
}

extension StepTimeline.State {
  fileprivate mutating func endPhase(at now: Double) {
    if let phase { spans.append(StepTimeline.Span(name: phase.name, thread: .training, start: phase.start, end: now)) }
    phase = nil
  }
}
