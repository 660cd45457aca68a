/// A recipe as a tree, between its text and its typed form; every node remembers where it was written.
struct ConfigNode: Sendable {
  struct Entry: Sendable {
    var key: String
    var value: ConfigNode
  }

  enum Content: Sendable {
    /// An absent optional. If it would be a section, `template` holds that section's defaults.
    case null(template: [Entry]?)
    /// A Boolean, a number or a text; `isText` if it is known to be a text whatever it looks like.
    case scalar(String, isText: Bool)
    case list([ConfigNode])
    case section([Entry])
  }

  var content: Content
  /// `FILE:LINE` or the `--set` argument; nil for defaults.
  var origin: String?

  /// What it is, for messages.
  var kindDescription: String {
    switch content {
    case .null: "nothing"
    case .scalar(let text, _): "'\(text)'"
    case .list: "a list"
    case .section: "a section"
    }
  }

  /// The entries of a section, or of the section that an absent optional would be.
  var entries: [Entry]? {
    switch content {
    case .section(let entries): entries
    case .null(let template): template
    case .scalar, .list: nil
    }
  }

  /// The innermost origin along a path such as `optimizer.betas`, if any node on it was written by the user.
  func origin(ofKey path: some Collection<Substring>) -> String? {
    guard let first = path.first, let child = entries?.first(where: { $0.key == first }) else { return origin }
    return child.value.origin(ofKey: path.dropFirst()) ?? origin
  }

  /// Every leaf with its path, in order: lists count as leaves.
  func leaves(under path: String = "") -> [(path: String, value: ConfigNode)] {
    guard case .section(let entries) = content else { return [(path, self)] }
    return entries.flatMap { $0.value.leaves(under: path.isEmpty ? $0.key : "\(path).\($0.key)") }
  }
}
