import Foundation
import Yams

/// A whole recipe: what `mergevq … train RECIPE.yaml` reads.
public protocol Recipe: ConfigSection {}

extension Recipe {
  /// Resolves a recipe: defaults, then the file, then the overrides in order, then validation.
  /// - Parameters:
  ///   - path: A YAML file; nil for the defaults alone.
  ///   - overrides: `a.b=value` each, the value in YAML: `batch.global=8`, `optimizer.betas=[0.9, 0.95]`.
  /// - Throws: `ConfigError` naming the key, where it is written and what would be right.
  public static func resolve(path: String?, overrides: [String] = []) throws(ConfigError) -> Self {
    guard let path else { return try resolve(yaml: "", named: "defaults", overrides: overrides) }
    return try resolve(yaml: text(ofRecipe: path), named: path, overrides: overrides)
  }

  /// Resolves a recipe from its text; `name` stands for the file in messages.
  public static func resolve(
    yaml: String, named name: String, overrides: [String] = []
  ) throws(ConfigError) -> Self {
    var tree = try defaultTree()
    try tree.overlay(named(name) { () throws(ConfigError) in try .parse(yaml) { "\(name):\($0)" } })
    for override in overrides { try tree.overlay(parseOverride(override)) }
    let recipe: Self
    do {
      recipe = try Self(from: ConfigDecoder(tree))
    } catch let error as ConfigError {
      throw error
    } catch {
      throw ConfigError(origin: name, problem: "the recipe cannot be read: \(error)")
    }
    do {
      try recipe.validate()
    } catch {
      var error = error
      error.origin = error.origin ?? error.key.flatMap { tree.origin(ofKey: $0.split(separator: ".")) }
      throw error
    }
    return recipe
  }

  /// Every key with its value, in the order of declaration: what is printed, stored in checkpoints, and read back by
  /// `resolve` to an equal recipe.
  public func resolvedYAML() throws(ConfigError) -> String {
    do {
      return try ConfigEncoder.node(self).yaml()
    } catch {
      throw ConfigError(problem: "the resolved recipe cannot be written as YAML: \(error)")
    }
  }

  /// The keys whose values differ from those of an earlier run's resolved recipe; keys that one of them lacks are
  /// given as `null`.
  public func differences(fromSaved yaml: String, named name: String) throws(ConfigError) -> [RecipeDifference] {
    let saved = try named(name) { () throws(ConfigError) in try ConfigNode.parse(yaml) { "\(name):\($0)" } }
    let current = try named(name) { () throws(ConfigError) in
      try ConfigNode.parse(try resolvedYAML()) { "\(name):\($0)" }
    }
    let savedValues = Dictionary(saved.leaves().map { ($0.path, $0.value.flowText) }) { $1 }
    let currentLeaves = current.leaves()
    let currentKeys = Set(currentLeaves.map(\.path))
    let changed = currentLeaves.compactMap { leaf -> RecipeDifference? in
      let before = savedValues[leaf.path] ?? "null"
      return before == leaf.value.flowText
        ? nil : RecipeDifference(key: leaf.path, saved: before, current: leaf.value.flowText)
    }
    let dropped = savedValues.filter { !currentKeys.contains($0.key) && $0.value != "null" }
      .map { RecipeDifference(key: $0.key, saved: $0.value, current: "null") }
    return changed + dropped.sorted { $0.key < $1.key }
  }

  private static func defaultTree() throws(ConfigError) -> ConfigNode {
    do {
      return try ConfigEncoder.node(Self())
    } catch {
      throw ConfigError(problem: "the defaults of \(Self.self) cannot be encoded: \(error)")
    }
  }
}

/// A key whose value is not what it was when a checkpoint was written.
public struct RecipeDifference: Sendable, Equatable {
  /// Path of the key.
  public let key: String
  /// The value in the checkpoint.
  public let saved: String
  /// The value now.
  public let current: String
}

extension ConfigNode {
  /// A leaf in one line, for comparisons and messages.
  fileprivate var flowText: String {
    switch content {
    case .null: "null"
    case .scalar(let text, _): text
    case .list(let elements): "[" + elements.map(\.flowText).joined(separator: ", ") + "]"
    case .section(let entries):
      "{" + entries.map { "\($0.key): \($0.value.flowText)" }.joined(separator: ", ") + "}"
    }
  }
}

private func text(ofRecipe path: String) throws(ConfigError) -> String {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  defer { if file >= 0 { close(file) } }
  do throws(RunDirectoryError) {
    guard file >= 0 else { throw .system("open", path) }
    return String(decoding: try readFully(file, path: path), as: UTF8.self)
  } catch {
    throw ConfigError(problem: "the recipe \(error)")
  }
}

/// Adds the file's name to an error that has no place yet.
private func named<Result>(_ name: String, _ body: () throws(ConfigError) -> Result) throws(ConfigError) -> Result {
  do {
    return try body()
  } catch {
    var error = error
    error.origin = error.origin ?? name
    throw error
  }
}

/// `a.b=value` as a tree of its own.
private func parseOverride(_ argument: String) throws(ConfigError) -> ConfigNode {
  let origin = "--set \(argument)"
  guard let equals = argument.firstIndex(of: "=") else {
    throw ConfigError(origin: origin, problem: "an override has the form key=value")
  }
  let keys = argument[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
  guard keys.allSatisfy({ !$0.isEmpty }) else {
    throw ConfigError(origin: origin, problem: "an override has the form key=value, with keys such as 'run.steps'")
  }
  let text = String(argument[argument.index(after: equals)...])
  let value = try named(origin) { () throws(ConfigError) in try ConfigNode.parse(text) { _ in origin } }
  return keys.reversed().reduce(value) {
    ConfigNode(content: .section([.init(key: $1, value: $0)]), origin: origin)
  }
}
