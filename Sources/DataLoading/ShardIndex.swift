import Foundation

/// Which shards a WebDataset consists of, and what its index says about them.
public struct ShardIndex: Codable, Sendable, Equatable {
  /// One archive of samples.
  public struct Shard: Codable, Sendable, Equatable {
    /// The file.
    public var path: String
    /// How many samples its index promises.
    public var sampleCount: Int?
    /// How many bytes its index promises.
    public var byteCount: Int?
    /// The SHA-256 that its index promises, in hexadecimal.
    public var sha256: String?
  }

  /// The shards in the order of their samples.
  public var shards: [Shard]
  /// Names of the classes by number, where the index states them.
  public var classNames: [String]?

  init(paths: [String]) { shards = paths.map { Shard(path: $0) } }

  /// Reads a shard list or an index file.
  ///
  /// `dir/train-{000000..001023}.tar`, `dir/*.tar`, several of these separated by `::`, or a JSON index
  /// (`{"shardlist": [{"url": …, "nsamples": …}, …]}` with paths relative to itself, as `wids` and `mergevq data pack`
  /// write it).
  /// - Returns: `nil` when the description is none of these.
  /// - Throws: `DataError` when it is and does not parse, or matches nothing.
  init?(description: String) throws(DataError) {
    if hasJSONExtension(description), !description.contains("::"), try FileKind(at: description) == .file {
      try self.init(json: readFile(description), path: description)
      return
    }
    guard description.contains("::") || description.contains(where: { "{*?[".contains($0) }) else { return nil }
    var paths: [String] = []
    for pattern in description.components(separatedBy: "::") {
      for path in try BraceRange.expanded(pattern) { paths += try matches(of: path) }
    }
    if let other = paths.first(where: { !hasTarExtension($0) }) {
      throw DataError(path: description, reason: .badDescription(detail: "\(other) is no .tar archive"))
    }
    self.init(paths: paths)
  }

  /// Reads a JSON index.
  init(json bytes: [UInt8], path: String) throws(DataError) {
    let file: IndexFile
    do {
      file = try JSONDecoder().decode(IndexFile.self, from: Data(bytes))
    } catch {
      throw DataError(
        path: path, reason: .badDescription(detail: #"no JSON object with a "shardlist" of {"url", "nsamples"}"#))
    }
    let folder = String(path.prefix(upTo: path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex))
    shards = []
    for entry in file.shardlist {
      guard !entry.url.contains("://"), hasTarExtension(entry.url) else {
        throw DataError(
          path: path, reason: .badDescription(detail: "'\(entry.url)' is no .tar archive on this machine; copy it here")
        )
      }
      guard (entry.nsamples ?? 0) >= 0, (entry.filesize ?? 0) >= 0 else {
        throw DataError(path: path, reason: .badDescription(detail: "'\(entry.url)' has a negative size"))
      }
      let base = file.base_path.map { $0.hasSuffix("/") ? $0 : $0 + "/" } ?? ""
      let place = entry.url.hasPrefix("/") ? entry.url : base + entry.url
      shards.append(
        Shard(
          path: place.hasPrefix("/") ? place : folder + place, sampleCount: entry.nsamples, byteCount: entry.filesize,
          sha256: entry.sha256))
    }
    if shards.isEmpty { throw DataError(path: path, reason: .badDescription(detail: "its shardlist is empty")) }
    classNames = file.classes
  }

  /// The part of a `wids` index that is read; other keys are for people.
  private struct IndexFile: Decodable {
    struct Entry: Decodable {
      var url: String
      var nsamples: Int?
      var filesize: Int?
      var sha256: String?
    }
    var shardlist: [Entry]
    var base_path: String?
    var classes: [String]?
  }
}

private func hasJSONExtension(_ path: String) -> Bool { path.lowercased().hasSuffix(".json") }

/// The files that match a pattern, sorted; a path without wildcards is itself.
private func matches(of pattern: String) throws(DataError) -> [String] {
  guard pattern.contains(where: { "*?[".contains($0) }) else { return [pattern] }
  var result = glob_t()
  defer { globfree(&result) }
  let status = glob(pattern, 0, nil, &result)
  guard status == 0 else {
    throw DataError(
      path: pattern, reason: status == GLOB_NOMATCH ? .missing : .unreadable(detail: "its folder cannot be searched"))
  }
  return (0..<Int(result.gl_pathc)).compactMap { result.gl_pathv[$0].map { String(cString: $0) } }.sorted(by: precedes)
}

/// `{000..127}` and `{a,b}` in paths.
enum BraceRange {
  private static let limit = 1 << 20

  /// All paths that a pattern stands for, in order.
  static func expanded(_ pattern: String) throws(DataError) -> [String] {
    guard let open = pattern.firstIndex(of: "{") else { return [pattern] }
    let wrong = { (detail: String) in DataError(path: pattern, reason: .badDescription(detail: detail)) }
    guard let close = pattern[open...].firstIndex(of: "}") else { throw wrong("a { without its }") }
    let inside = String(pattern[pattern.index(after: open)..<close])
    let head = String(pattern[..<open])
    var parts: [String]
    let ends = inside.components(separatedBy: "..")
    if ends.count == 2 {
      guard let first = Int(ends[0]), let last = Int(ends[1]), first >= 0, first <= last, last - first < limit else {
        throw wrong("{\(inside)} is no ascending range of numbers")
      }
      let width = ends[0].utf8.count
      parts = (first...last).map { number in
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
      }
    } else {
      parts = inside.components(separatedBy: ",")
      guard parts.count > 1 else { throw wrong("{\(inside)} is neither a range {000..127} nor a list {a,b}") }
    }
    let tails = try expanded(String(pattern[pattern.index(after: close)...]))
    guard parts.count <= limit / tails.count else { throw wrong("it stands for more than \(limit) paths") }
    parts = parts.map { head + $0 }
    return parts.flatMap { part in tails.map { part + $0 } }
  }
}
