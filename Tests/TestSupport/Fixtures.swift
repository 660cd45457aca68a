public import Checkpointing
import Foundation
public import Testing

/// A file of reference numbers: safetensors with its kind, configuration and expected scalars in the metadata.
public struct Fixture: CustomTestStringConvertible, Sendable {
  /// The file's path; each use opens it anew.
  public let path: String

  /// The file.
  public func open() throws -> Safetensors { try Safetensors(path: path) }

  /// A JSON object of the metadata, such as `config` or `losses`.
  public static func object(_ key: String, of file: Safetensors) throws -> [String: Any] {
    try json(key, of: file) as? [String: Any] ?? [:]
  }

  /// A JSON value of the metadata.
  public static func json(_ key: String, of file: Safetensors) throws -> Any {
    guard let text = file.metadata[key] else { throw FixtureError(description: "\(file.path): no metadata '\(key)'") }
    return try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
  }

  /// The file's name.
  public var testDescription: String { (path as NSString).lastPathComponent }

  /// Every fixture of a kind in `MERGEVQ_FIXTURES`, or else in `../shared/parity` beside the package. Says so where there
  /// is none.
  public static func all(ofKind kind: String) -> [Fixture] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let fixtures = names.filter { $0.hasSuffix(".safetensors") }.sorted().compactMap { name -> Fixture? in
      let path = "\(folder)/\(name)"
      guard let file = try? Safetensors(path: path), file.metadata["kind"] == kind else { return nil }
      return Fixture(path: path)
    }
    if fixtures.isEmpty { print("skipped: no fixtures of kind '\(kind)' in \(folder)") }
    return fixtures
  }

  /// Where fixtures are looked for.
  public static var folder: String {
    ProcessInfo.processInfo.environment["MERGEVQ_FIXTURES"] ?? packageRoot + "/../shared/parity"
  }
}

/// A fixture that lacks what a test needs.
public struct FixtureError: Error, CustomStringConvertible {
  /// What is wrong with which file.
  public let description: String

  /// An error with its text.
  public init(description: String) { self.description = description }
}

/// The package's folder.
public let packageRoot: String = {
  // Tests/TestSupport/Fixtures.swift
  var url = URL(fileURLWithPath: #filePath)
  for _ in 0..<3 { url.deleteLastPathComponent() }
  return url.path
}()
