/// Turns a section into a tree in the order of its declarations. Absent optionals are kept as nulls, which is why
/// the encoders of the library do not serve: a key must be known even while its value is nil.
final class ConfigEncoder: Encoder {
  private var content: ConfigNode.Content?
  let codingPath: [any CodingKey]
  let userInfo: [CodingUserInfoKey: Any] = [:]

  private init(codingPath: [any CodingKey]) { self.codingPath = codingPath }

  /// The tree of `value`.
  static func node(_ value: any Encodable, at codingPath: [any CodingKey] = []) throws -> ConfigNode {
    if let scalar = value as? any ConfigScalar {
      return ConfigNode(content: .scalar(scalar.text, isText: scalar is String))
    }
    let encoder = ConfigEncoder(codingPath: codingPath)
    try value.encode(to: encoder)
    return ConfigNode(content: encoder.content ?? .section([]))
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if content == nil { content = .section([]) }
    return KeyedEncodingContainer(Keyed<Key>(encoder: self))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    if content == nil { content = .list([]) }
    return Unkeyed(encoder: self)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { Single(encoder: self) }

  private func append(_ node: ConfigNode, forKey key: any CodingKey) {
    guard case .section(var entries) = content else { return }
    entries.append(.init(key: key.stringValue, value: node))
    content = .section(entries)
  }

  private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: ConfigEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }

    func encodeNil(forKey key: Key) { encoder.append(ConfigNode(content: .null(template: nil)), forKey: key) }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
      encoder.append(try ConfigEncoder.node(value, at: codingPath + [key]), forKey: key)
    }

    func encodeOptional<T: Encodable>(_ value: T?, forKey key: Key) throws {
      if let value { return try encode(value, forKey: key) }
      let template = try (T.self as? any ConfigSection.Type).map { try ConfigEncoder.node($0.init()).entries } ?? nil
      encoder.append(ConfigNode(content: .null(template: template)), forKey: key)
    }

    // The library's defaults of these leave absent values out; a generic one alone would not replace them.
    func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try encodeOptional(value, forKey: key) }

    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { unsupported("nested containers") }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { unsupported("nested containers") }
    func superEncoder() -> any Encoder { unsupported("classes") }
    func superEncoder(forKey key: Key) -> any Encoder { unsupported("classes") }
  }

  private struct Unkeyed: UnkeyedEncodingContainer {
    let encoder: ConfigEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }
    var count: Int { if case .list(let elements) = encoder.content { elements.count } else { 0 } }

    func encodeNil() { append(ConfigNode(content: .null(template: nil))) }
    func encode<T: Encodable>(_ value: T) throws { append(try ConfigEncoder.node(value, at: codingPath)) }

    private func append(_ node: ConfigNode) {
      guard case .list(let elements) = encoder.content else { return }
      encoder.content = .list(elements + [node])
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
      unsupported("nested containers")
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { unsupported("nested containers") }
    func superEncoder() -> any Encoder { unsupported("classes") }
  }

  private struct Single: SingleValueEncodingContainer {
    let encoder: ConfigEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }
    func encodeNil() { encoder.content = .null(template: nil) }
    func encode<T: Encodable>(_ value: T) throws {
      encoder.content = try ConfigEncoder.node(value, at: codingPath).content
    }
  }
}

/// Stops on a recipe type that hand-writes its coding in a way recipes do not need.
func unsupported(_ what: String) -> Never { fatalError("recipe sections cannot use \(what) in their coding") }
