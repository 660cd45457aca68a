import Yams

extension ConfigNode {
  /// Reads a recipe's text.
  /// - Parameter origin: The origin of a node on the given one-based line.
  /// - Throws: `ConfigError` with the line of what is not YAML.
  static func parse(_ yaml: String, origin: (Int) -> String) throws(ConfigError) -> ConfigNode {
    do {
      guard let root = try Yams.compose(yaml: yaml) else { return ConfigNode(content: .null(template: nil)) }
      return try convert(root, origin: origin)
    } catch let error as ConfigError {
      throw error
    } catch {
      throw ConfigError(problem: "is not valid YAML: \(error)")
    }
  }

  private static func convert(_ node: Node, origin: (Int) -> String) throws -> ConfigNode {
    let place = origin(node.mark?.line ?? 1)
    switch node {
    case .scalar(let scalar):
      let isNull = scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
      return ConfigNode(
        content: isNull ? .null(template: nil) : .scalar(scalar.string, isText: false), origin: place)
    case .sequence(let sequence):
      return ConfigNode(content: .list(try sequence.map { try convert($0, origin: origin) }), origin: place)
    case .mapping(let mapping):
      let entries = try mapping.map { pair in
        guard let key = pair.key.scalar?.string else {
          throw ConfigError(
            origin: origin(pair.key.mark?.line ?? 1), problem: "has a key that is a list or a section itself")
        }
        var value = try convert(pair.value, origin: origin)
        // The line of the key: an empty value or a block below it would be reported a line late.
        value.origin = origin(pair.key.mark?.line ?? 1)
        return Entry(key: key, value: value)
      }
      return ConfigNode(content: .section(entries), origin: place)
    case .alias:
      throw ConfigError(origin: place, problem: "refers to an anchor that is not defined above it")
    }
  }

  /// The tree as YAML: block sections in order, lists in one line, texts quoted where they would read as something
  /// else.
  func yaml() throws -> String { try Yams.serialize(node: node, indent: 2, width: -1, allowUnicode: true) }

  private var node: Node {
    switch content {
    case .null:
      return .scalar(.init("null", .implicit, .plain))
    case .scalar(let text, let isText):
      let looksOtherwise = isText && (text.isEmpty || Resolver.default.resolveTag(of: Node(text)) != .str)
      return .scalar(.init(text, isText ? Tag(.str) : .implicit, looksOtherwise ? .doubleQuoted : .any))
    case .list(let elements):
      return .sequence(.init(elements.map(\.node), .implicit, .flow))
    case .section(let entries):
      return .mapping(.init(entries.map { (Node($0.key), $0.value.node) }, .implicit, .block))
    }
  }
}
