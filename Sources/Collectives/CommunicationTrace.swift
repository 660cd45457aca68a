import Synchronization

/// Where a rank is in the sequence of its collective operations, for other threads to see: which operation it is in,
/// since when, and how long all of them have taken.
public final class CommunicationTrace: Sendable {
  /// A moment of a rank.
  public struct Position: Sendable, Equatable {
    /// Operations begun so far. Ranks in step have begun the same ones, so a rank with fewer keeps the others waiting.
    public var callCount = 0
    /// The operation that is under way, for example `allReduce of 4096 values`; nil between operations.
    public var operation: String?
    /// When that operation began, or the last one ended.
    public var since = ContinuousClock.now
    /// How long all operations that have ended took together.
    public var waited = Duration.zero
  }

  /// What learns of every operation that has ended: its name, its beginning and its end.
  public typealias Observer =
    @Sendable (
      _ operation: String, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) -> Void

  private let state = Mutex(Position())
  private let observer: Observer?

  /// A trace of no operation yet.
  /// - Parameter observer: Called on the thread of the operation.
  public init(observer: Observer? = nil) { self.observer = observer }

  /// What the rank is doing now.
  public var position: Position { state.withLock { $0 } }

  /// Notes what `body` does as one operation.
  package func note<Result>(
    _ operation: String, _ body: () throws(CommunicationError) -> Result
  ) throws(CommunicationError) -> Result {
    begin(operation)
    defer { end() }
    return try body()
  }

  func begin(_ operation: @autoclosure () -> String) {
    let name = operation()
    state.withLock {
      $0.callCount += 1
      $0.operation = name
      $0.since = .now
    }
  }

  func end() {
    let now = ContinuousClock.now
    let ended = state.withLock {
      let ended = ($0.operation, $0.since)
      $0.waited += now - $0.since
      $0.operation = nil
      $0.since = now
      return ended
    }
    if let observer, let operation = ended.0 { observer(operation, ended.1, now) }
  }
}
