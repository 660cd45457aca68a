/// A type that is one word in a recipe.
///
/// The field's type decides how a word is read, not the word's looks: `1e-4` is a number where a number is wanted
/// (YAML 1.1 has it as a text) and `no` is a text where a text is wanted.
protocol ConfigScalar {
  /// What is expected, for messages, e.g. "a whole number".
  static var expectation: String { get }
  /// The value that `text` spells, or nil.
  init?(configText text: String)
  /// How the value is spelled.
  var text: String { get }
}

extension Bool: ConfigScalar {
  static var expectation: String { "true or false" }
  init?(configText text: String) {
    switch text {
    case "true", "True", "TRUE": self = true
    case "false", "False", "FALSE": self = false
    default: return nil
    }
  }
  var text: String { description }
}

extension String: ConfigScalar {
  static var expectation: String { "a text" }
  init?(configText text: String) { self = text }
  var text: String { self }
}

extension Double: ConfigScalar {
  static var expectation: String { "a number" }
  init?(configText text: String) {
    guard let value = Double(withoutSeparators: text), value.isFinite else { return nil }
    self = value
  }
  var text: String { description }

  /// Reads `1_000.5` too, as YAML does; refuses hexadecimal numbers and spelled-out ones.
  fileprivate init?(withoutSeparators text: String) {
    guard let first = text.first, first != "_", text.allSatisfy({ "0123456789+-.eE_".contains($0) }) else { return nil }
    self.init(text.filter { $0 != "_" })
  }
}

extension Float: ConfigScalar {
  static var expectation: String { Double.expectation }
  init?(configText text: String) {
    guard let value = Double(configText: text), Float(value).isFinite else { return nil }
    self = Float(value)
  }
  var text: String { description }
}

extension ConfigScalar where Self: FixedWidthInteger {
  static var expectation: String {
    Self.isSigned ? "a whole number" : "a whole number that is not negative"
  }
  /// Accepts `200_000` and `2e5`.
  init?(configText text: String) {
    if let value = Self(text.filter { $0 != "_" }), text.first != "_" {
      self = value
    } else if let number = Double(withoutSeparators: text), let value = Self(exactly: number) {
      self = value
    } else {
      return nil
    }
  }
  var text: String { description }
}

extension Int: ConfigScalar {}
extension UInt64: ConfigScalar {}
