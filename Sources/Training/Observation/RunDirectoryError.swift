import Foundation

/// A run directory that cannot be used or written.
public struct RunDirectoryError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kinds of trouble.
  public enum Reason: Sendable, Equatable {
    /// A call to the operating system failed; `code` is its `errno`.
    case system(operation: String, code: Int32)
    /// Another job trains in this directory.
    case inUse(holder: RunLock.Holder, isOnThisHost: Bool)
    /// A line of the metrics is not one of ours; counted from 1.
    case malformedMetrics(line: Int, detail: String)
  }

  /// The file or directory in question.
  public let path: String
  /// What is wrong with it.
  public let reason: Reason

  /// Creates an error about `path`.
  public init(path: String, _ reason: Reason) {
    self.path = path
    self.reason = reason
  }

  /// The failed call that `errno` is about.
  static func system(_ operation: String, _ path: String) -> RunDirectoryError {
    RunDirectoryError(path: path, .system(operation: operation, code: errno))
  }

  /// One sentence for the user, with the next move.
  public var description: String {
    switch reason {
    case .system(let operation, let code):
      "\(path): \(operation) failed: \(String(cString: strerror(code))) (errno \(code))"
    case .inUse(let holder, true):
      "\(path): process \(holder.processIdentifier) on this host (\(holder.host)) trains in this run directory since "
        + "\(holder.since); wait for it, end it, or set another run.directory"
    case .inUse(let holder, false):
      "\(path): process \(holder.processIdentifier) on host \(holder.host) trains in this run directory since "
        + "\(holder.since); set another run.directory, or delete this file if that job is gone"
    case .malformedMetrics(let line, let detail):
      "\(path):\(line): not a metrics record (\(detail)); move the file away to start a new one"
    }
  }
}
