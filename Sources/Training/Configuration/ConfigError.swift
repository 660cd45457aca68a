/// A recipe or an override that cannot be used: what is wrong, with which key, and where it is written.
public struct ConfigError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Path of the key, e.g. `optimizer.learningRate`; nil if the trouble is not with one key.
  public var key: String?
  /// Where it is written: `FILE:LINE`, `FILE` or the `--set` argument; nil for defaults.
  public var origin: String?
  /// What is wrong and what would be right, as the rest of a sentence that may start with the key.
  public var problem: String

  /// Creates an error about `key`; sections name keys relative to themselves and `validate(_:_:)` completes the path.
  public init(key: String? = nil, origin: String? = nil, problem: String) {
    self.key = key
    self.origin = origin
    self.problem = problem
  }

  /// `ORIGIN: 'KEY' PROBLEM`.
  public var description: String {
    (origin.map { "\($0): " } ?? "") + (key.map { "'\($0)' " } ?? "") + problem
  }
}
