import Foundation

/// One line of `metrics.jsonl`: `{"step":120,"kind":"train","imagesPerSecond":41.5,"loss":0.43}`.
public struct MetricsRecord: Sendable, Equatable {
  /// What the values describe.
  public enum Kind: String, Sendable, CaseIterable {
    /// The steps since the last record of this kind.
    case train
    /// A validation with the averaged weights.
    case validation
    /// An epoch that ended with this step.
    case epoch
    /// The run went on from a checkpoint of this step.
    case resume
  }

  /// Optimizer steps done.
  public var step: Int
  /// What the values describe.
  public var kind: Kind
  /// Named values, for example `loss`; values that are not finite are written as `null` and read back as NaN.
  public var values: [String: Double]

  /// Creates a record.
  public init(step: Int, kind: Kind, values: [String: Double]) {
    self.step = step
    self.kind = kind
    self.values = values
  }

  /// The record as one line of JSON without a line feed; names are in alphabetical order.
  public var line: String {
    let fields = values.sorted { $0.key < $1.key }
      .map { "\(quoted($0.key)):\($0.value.isFinite ? $0.value.description : "null")" }
    return "{" + (["\"step\":\(step)", "\"kind\":\(quoted(kind.rawValue))"] + fields).joined(separator: ",") + "}"
  }

  /// Reads a line.
  /// - Throws: `ParsingError` with what is wrong.
  public init(line: some Sequence<UInt8>) throws(ParsingError) {
    var fields: [String: Field]
    do {
      // Not JSONSerialization: on Linux it does not read numbers back to the last bit.
      fields = try JSONDecoder().decode([String: Field].self, from: Data(line))
    } catch {
      throw ParsingError(detail: "not a flat JSON object of numbers")
    }
    guard case .number(let stepNumber) = fields.removeValue(forKey: "step"), let step = Int(exactly: stepNumber) else {
      throw ParsingError(detail: "no step")
    }
    guard case .text(let name) = fields.removeValue(forKey: "kind"), let kind = Kind(rawValue: name) else {
      throw ParsingError(detail: "no known kind")
    }
    var values: [String: Double] = [:]
    for (name, field) in fields {
      switch field {
      case .number(let value): values[name] = value
      case .notFinite: values[name] = .nan
      case .text: throw ParsingError(detail: "'\(name)' is not a number")
      }
    }
    self.init(step: step, kind: kind, values: values)
  }

  /// Why a line is not a record.
  public struct ParsingError: Error, Sendable, Equatable {
    /// What is wrong with it.
    public let detail: String
  }
}

/// What may stand behind a name.
private enum Field: Decodable {
  case number(Double)
  case text(String)
  case notFinite

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .notFinite
      return
    }
    do {
      self = .number(try container.decode(Double.self))
    } catch {
      self = .text(try container.decode(String.self))
    }
  }
}

/// `text` as a JSON string.
private func quoted(_ text: String) -> String {
  let escaped = text.unicodeScalars.map { scalar in
    switch scalar {
    case "\"": "\\\""
    case "\\": "\\\\"
    case _ where scalar.value < 0x20:
      "\\u00" + (scalar.value < 0x10 ? "0" : "") + String(scalar.value, radix: 16)
    default: String(scalar)
    }
  }
  return "\"" + escaped.joined() + "\""
}
