/// A part of a recipe: a `Codable` structure whose every field has a default.
///
/// Fields may be Booleans, numbers, texts, enumerations with text cases, lists of these, and further sections;
/// each may be optional. Choices are enumerations, so that a mistyped one is refused with the known ones.
public protocol ConfigSection: Codable, Sendable, Equatable {
  /// The defaults.
  init()
  /// Checks what types cannot express.
  /// - Throws: `ConfigError` with the key relative to this section.
  func validate() throws(ConfigError)
}

extension ConfigSection {
  /// Accepts everything.
  public func validate() throws(ConfigError) {}
}

/// Validates a section and completes the path of the key it complains about.
public func validate(_ key: String, _ section: some ConfigSection) throws(ConfigError) {
  do {
    try section.validate()
  } catch {
    var error = error
    error.key = error.key.map { "\(key).\($0)" } ?? key
    throw error
  }
}

/// Refuses a value that misses `condition`, e.g. `check(steps > 0, "steps", "is \(steps); it must be positive")`.
public func check(
  _ condition: Bool, _ key: String, _ problem: @autoclosure () -> String
) throws(ConfigError) {
  guard condition else { throw ConfigError(key: key, problem: problem()) }
}
