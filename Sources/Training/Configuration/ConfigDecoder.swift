/// Reads a section from a tree; complaints carry the path of the key and where its value was written.
struct ConfigDecoder: Decoder, SingleValueDecodingContainer {
  let node: ConfigNode
  let codingPath: [any CodingKey]
  let userInfo: [CodingUserInfoKey: Any] = [:]

  init(_ node: ConfigNode, at codingPath: [any CodingKey] = []) {
    self.node = node
    self.codingPath = codingPath
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard let entries = node.entries else { throw mismatch("a section") }
    return KeyedDecodingContainer(Keyed<Key>(entries: entries, codingPath: codingPath, origin: node.origin))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .list(let elements) = node.content else { throw mismatch("a list") }
    return Unkeyed(elements: elements, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { if case .null = node.content { true } else { false } }

  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    if let scalar = T.self as? any ConfigScalar.Type {
      guard case .scalar(let text, _) = node.content, let value = scalar.init(configText: text) as? T else {
        throw mismatch(scalar.expectation)
      }
      return value
    }
    do {
      return try T(from: self)
    } catch is DecodingError {
      throw mismatch((T.self as? any CaseIterable.Type).map { "one of \(caseNames($0))" } ?? "a \(T.self)")
    }
  }

  private func mismatch(_ expectation: String) -> ConfigError {
    ConfigError(
      key: path(codingPath), origin: node.origin,
      problem: "must be \(expectation), but is \(node.kindDescription)")
  }

  private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let entries: [ConfigNode.Entry]
    let codingPath: [any CodingKey]
    let origin: String?
    var allKeys: [Key] { entries.compactMap { Key(stringValue: $0.key) } }

    func contains(_ key: Key) -> Bool { entries.contains { $0.key == key.stringValue } }
    func decodeNil(forKey key: Key) throws -> Bool { try decoder(forKey: key).decodeNil() }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
      try decoder(forKey: key).decode(type)
    }

    private func decoder(forKey key: Key) throws -> ConfigDecoder {
      guard let entry = entries.first(where: { $0.key == key.stringValue }) else {
        throw ConfigError(key: path(codingPath + [key]), origin: origin, problem: "is missing")
      }
      return ConfigDecoder(entry.value, at: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedDecodingContainer<Nested> { unsupported("nested containers") }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer { unsupported("nested containers") }
    func superDecoder() -> any Decoder { unsupported("classes") }
    func superDecoder(forKey key: Key) -> any Decoder { unsupported("classes") }
  }

  private struct Unkeyed: UnkeyedDecodingContainer {
    let elements: [ConfigNode]
    let codingPath: [any CodingKey]
    var currentIndex = 0
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex == elements.count }

    mutating func decodeNil() -> Bool {
      guard case .null = elements[currentIndex].content else { return false }
      currentIndex += 1
      return true
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
      let decoder = ConfigDecoder(elements[currentIndex], at: codingPath + [ListPosition(intValue: currentIndex)])
      currentIndex += 1
      return try decoder.decode(type)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedDecodingContainer<Nested> {
      unsupported("nested containers")
    }
    func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer { unsupported("nested containers") }
    func superDecoder() -> any Decoder { unsupported("classes") }
  }
}

private struct ListPosition: CodingKey {
  let position: Int
  var intValue: Int? { position }
  var stringValue: String { "[\(position)]" }
  init(intValue: Int) { position = intValue }
  init?(stringValue: String) { nil }
}

/// `data.keepCounts[2]` from its components.
private func path(_ codingPath: [any CodingKey]) -> String {
  codingPath.reduce("") { $0 + ($0.isEmpty || $1.intValue != nil ? "" : ".") + $1.stringValue }
}

private func caseNames<Choice: CaseIterable>(_ type: Choice.Type) -> String {
  Choice.allCases.map { ($0 as? any RawRepresentable).map { "\($0.rawValue)" } ?? "\($0)" }.joined(separator: ", ")
}
