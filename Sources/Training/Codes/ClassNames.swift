import Foundation

/// The classes of a generator: how the data set names them, and what people call them.
public struct ClassNames: Codable, Sendable, Equatable {
  /// Names of the data set, such as wnids, in the order of their indices; empty if it has no classes.
  public var names: [String]
  /// What people call them, synonyms separated by commas, in the same order; empty if nobody said.
  public var titles: [String]

  /// Names and titles in the order of the classes.
  public init(names: [String] = [], titles: [String] = []) {
    self.names = names
    self.titles = titles
  }

  /// What to call a class below a picture: the first of its titles, or its name.
  public func label(of index: Int) -> String {
    if titles.indices.contains(index), let first = synonyms(of: index).first { return first }
    return names.indices.contains(index) ? names[index] : "class \(index)"
  }

  private func synonyms(of index: Int) -> [String] {
    guard titles.indices.contains(index) else { return [] }
    return titles[index].split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
  }

  /// Takes titles from a text file with a line `NAME<tab>TITLE, SYNONYM, …` for each class; other classes may be in it.
  /// - Throws: `ConfigError` if the file cannot be read or lacks a class.
  public mutating func readTitles(from path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConfigError(origin: path, problem: "cannot be read; expected lines of a class name, a tab, and titles")
    }
    var found: [String: String] = [:]
    for line in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: "\t", maxSplits: 1)
      if parts.count == 2 { found[parts[0].trimmingCharacters(in: .whitespaces)] = String(parts[1]) }
    }
    titles = try names.map { name in
      guard let title = found[name] else {
        throw ConfigError(origin: path, problem: "has no line for the class '\(name)' (NAME, a tab, TITLE)")
      }
      return title
    }
  }

  /// The classes that a user asks for.
  /// - Parameters:
  ///   - prompt: Names, titles or indices separated by commas, or `all`.
  ///   - count: How many classes there are.
  /// - Returns: Indices in the order of the prompt.
  /// - Throws: `ConfigError` naming what is not a class, with the nearest that is.
  public func indices(of prompt: String, count: Int) throws(ConfigError) -> [Int] {
    if prompt.trimmingCharacters(in: .whitespaces) == "all" { return Array(0..<count) }
    let wanted = prompt.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    guard !wanted.isEmpty else { throw ConfigError(origin: "--classes", problem: "names no class") }
    return try wanted.map { (word) throws(ConfigError) in try index(of: word, count: count) }
  }

  private func index(of word: String, count: Int) throws(ConfigError) -> Int {
    let known = (0..<count).map { index in
      (names.indices.contains(index) ? [names[index]] : []) + synonyms(of: index)
        + (titles.indices.contains(index) ? [titles[index]] : [])
    }
    let folded = word.lowercased()
    let matches = known.indices.filter { known[$0].contains { $0.lowercased() == folded } }
    if matches.count == 1 { return matches[0] }
    if matches.count > 1 {
      throw ConfigError(
        origin: "--classes",
        problem: "'\(word)' may be any of \(matches.map { names[$0] }.joined(separator: ", ")); name one of these")
    }
    if let index = Int(word) {
      guard (0..<count).contains(index) else {
        throw ConfigError(
          origin: "--classes", problem: "there is no class \(index); the generator has \(count), from 0 to \(count - 1)"
        )
      }
      return index
    }
    let nearest = known.joined().map { ($0, editDistance(folded, $0.lowercased())) }.min { $0.1 < $1.1 }
    let hint =
      nearest.map { $0.1 <= max(2, word.count / 2) ? "; did you mean '\($0.0)'?" : "" } ?? ""
    throw ConfigError(
      origin: "--classes",
      problem: "'\(word)' is none of the generator's \(count) classes"
        + (hint.isEmpty ? " (\(known.compactMap(\.first).prefix(8).joined(separator: ", "))…)" : hint))
  }
}
