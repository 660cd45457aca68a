/// How the parameters of a file compare with those that a model expects, key by key.
public struct ParameterComparison: Sendable, Equatable, CustomStringConvertible {
  /// A parameter whose shape differs.
  public struct Difference: Sendable, Equatable {
    /// The parameter's name.
    public let key: String
    /// The model's shape.
    public let expected: [Int]
    /// The file's shape.
    public let found: [Int]
  }

  /// Keys with the same shape in both, sorted.
  public let matched: [String]
  /// Keys that only the model has, sorted.
  public let missing: [String]
  /// Keys that only the file has, sorted.
  public let unexpected: [String]
  /// Keys with different shapes, sorted.
  public let misshapen: [Difference]

  /// Compares by key.
  /// - Parameters:
  ///   - expected: The model's shapes.
  ///   - found: The file's shapes.
  public init(expected: [String: [Int]], found: [String: [Int]]) {
    let common = expected.keys.filter { found[$0] != nil }.sorted()
    matched = common.filter { expected[$0] == found[$0] }
    missing = expected.keys.filter { found[$0] == nil }.sorted()
    unexpected = found.keys.filter { expected[$0] == nil }.sorted()
    misshapen = common.compactMap { key in
      guard let wanted = expected[key], let present = found[key], wanted != present else { return nil }
      return Difference(key: key, expected: wanted, found: present)
    }
  }

  /// Whether the file has exactly the model's parameters.
  public var isExact: Bool { missing.isEmpty && unexpected.isEmpty && misshapen.isEmpty }

  /// Counts, then one line per difference.
  public var description: String {
    let counts =
      "\(matched.count) matched, \(missing.count) missing, \(unexpected.count) unexpected, "
      + "\(misshapen.count) of another shape"
    let lines =
      missing.map { "missing: \($0)" } + unexpected.map { "unexpected: \($0)" }
      + misshapen.map { "shape: \($0.key) is \($0.found), expected \($0.expected)" }
    return ([counts] + lines).joined(separator: "\n")
  }
}
