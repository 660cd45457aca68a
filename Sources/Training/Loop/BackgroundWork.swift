import Foundation

/// Something done once on a thread of its own, whose outcome another thread asks for or waits for.
final class BackgroundWork<Value: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var outcome: Result<Value, any Error>?

  /// Starts `body`.
  init(named name: String, _ body: @escaping @Sendable () throws -> Value) {
    let thread = Thread { [self] in
      let outcome = Result { try body() }
      condition.withLock {
        self.outcome = outcome
        condition.broadcast()
      }
    }
    thread.name = name
    thread.start()
  }

  /// Whether it has ended, well or not.
  var isFinished: Bool { condition.withLock { outcome != nil } }

  /// Waits for the end.
  func wait() -> Result<Value, any Error> {
    condition.withLock {
      while true {
        if let outcome { return outcome }
        condition.wait()
      }
    }
  }
}
