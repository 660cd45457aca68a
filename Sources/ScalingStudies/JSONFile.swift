public import Collectives
import Foundation
public import Scaling
public import Training

/// A study or a model as a file.
public protocol JSONFile: Codable {
  /// The version that this program writes and reads.
  static var currentFormat: Int { get }
  /// The version of the file.
  var format: Int { get }
  /// What such a file is called in messages.
  static var kind: String { get }
}

extension Study: JSONFile {
  /// `study`.
  public static var kind: String { "study" }
}

extension FittedModel: JSONFile {
  /// `model`.
  public static var kind: String { "model" }
}

extension JSONFile {
  /// Reads a file.
  /// - Throws: `ConfigError` naming it, if it cannot be read or is something else.
  public init(path: String) throws(ConfigError) {
    guard let content = FileManager.default.contents(atPath: path) else {
      throw ConfigError(origin: path, problem: "the \(Self.kind) cannot be read; does the file exist?")
    }
    do {
      self = try JSONDecoder().decode(Self.self, from: content)
    } catch {
      throw ConfigError(origin: path, problem: "is not a \(Self.kind) of mergevq scaling: \(error)")
    }
    guard format == Self.currentFormat else {
      throw ConfigError(
        origin: path, problem: "has format \(format); this program reads format \(Self.currentFormat)")
    }
  }

  /// Writes a file, or replaces it.
  /// - Throws: `ConfigError` naming it, if it cannot be written.
  public func write(to path: String) throws(ConfigError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      try encoder.encode(self).write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw ConfigError(origin: path, problem: "the \(Self.kind) cannot be written: \(error)")
    }
  }
}

/// Writes a text file, or replaces it.
/// - Throws: `ConfigError` naming it, if it cannot be written.
public func write(text: String, to path: String) throws(ConfigError) {
  do {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  } catch {
    throw ConfigError(origin: path, problem: "cannot be written: \(error)")
  }
}

extension FitError: ExitStatusError {
  /// 65 (`EX_DATAERR`).
  public var exitStatus: Int32 { 65 }
}
