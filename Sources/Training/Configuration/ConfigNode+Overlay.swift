extension ConfigNode {
  /// Lays what the user wrote over the defaults: sections key by key, everything else as a whole.
  /// - Throws: `ConfigError` for a key the defaults do not have, naming the nearest one that exists.
  mutating func overlay(_ written: ConfigNode) throws(ConfigError) { try overlay(written, path: [], root: self) }

  private mutating func overlay(_ written: ConfigNode, path: [String], root: ConfigNode) throws(ConfigError) {
    let key = path.isEmpty ? nil : path.joined(separator: ".")
    guard var known = entries else {
      content = written.content
      origin = written.origin
      return
    }
    switch written.content {
    case .null:
      // Nothing below a section's name means no change; an optional section returns to nil.
      if case .null = content { origin = written.origin }
    case .section(let entries):
      for entry in entries {
        let entryPath = path + [entry.key]
        guard let index = known.firstIndex(where: { $0.key == entry.key }) else {
          throw unknownKey(entry, at: entryPath, root: root)
        }
        try known[index].value.overlay(entry.value, path: entryPath, root: root)
      }
      content = .section(known)
      origin = written.origin ?? origin
    case .scalar, .list:
      throw ConfigError(
        key: key, origin: written.origin,
        problem: (key == nil ? "a recipe " : "")
          + "must be a section with the keys \(known.map(\.key).joined(separator: ", ")), "
          + "but is \(written.kindDescription)")
    }
  }

  private func unknownKey(_ entry: Entry, at path: [String], root: ConfigNode) -> ConfigError {
    let siblings = entries?.map(\.key) ?? []
    let parent = path.dropLast().joined(separator: ".")
    var candidates = siblings.map { (name: $0, path: parent.isEmpty ? $0 : "\(parent).\($0)", penalty: 0) }
    // A key that exists elsewhere was probably only put into the wrong section.
    candidates += root.keyPaths().map { (name: $0.last ?? "", path: $0.joined(separator: "."), penalty: 1) }
    let nearest = candidates.map { ($0.path, editDistance(entry.key.lowercased(), $0.name.lowercased()) + $0.penalty) }
      .min { $0.1 < $1.1 }
    var problem = "is not a known key"
    if let (path, distance) = nearest, distance <= max(2, entry.key.count / 2) {
      problem += "; did you mean '\(path)'?"
    }
    problem += " (known \(parent.isEmpty ? "at the top" : "in '\(parent)'"): \(siblings.joined(separator: ", ")))"
    return ConfigError(key: path.joined(separator: "."), origin: entry.value.origin, problem: problem)
  }

  private func keyPaths(under path: [String] = []) -> [[String]] {
    (entries ?? []).flatMap { [path + [$0.key]] + $0.value.keyPaths(under: path + [$0.key]) }
  }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other
/// (optimal string alignment distance). O(n·m).
func editDistance(_ first: String, _ second: String) -> Int {
  let a = Array(first)
  let b = Array(second)
  var rows = [Array(0...b.count)]
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var distance = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { distance = min(distance, rows[i - 1][j - 1] + 1) }
      row.append(distance)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}
