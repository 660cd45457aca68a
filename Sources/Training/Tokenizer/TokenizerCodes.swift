public import Checkpointing
public import Collectives
import Foundation
import Tokenizer

/// What a tokenizer made of some images: codes, which position went into which token, and what both belong to.
///
/// In a file: safetensors with `codes` (int32 `[N, K]`), `groups` (int32 `[N, L]`), `labels` (int32 `[N]`, where images
/// have classes), and everything else as text in the metadata.
public struct TokenizerCodes: Sendable, Equatable {
  /// Images, tokens of each, positions of each, and bits of a code.
  public var imageCount: Int, keepCount: Int, positionCount: Int, codeBits: Int
  /// `N·K` codes in `0..<2^bits`.
  public var codes: [Int32]
  /// The token of every position, `N·L` values in `0..<K`.
  public var groups: [Int32]
  /// The class of every image, an index into `classNames`; empty where images have none.
  public var labels: [Int32]
  /// Names of the classes.
  public var classNames: [String]
  /// Names of the images.
  public var names: [String]
  /// Fingerprint and title of the tokenizer.
  public var tokenizer: (fingerprint: String, title: String)

  /// Whether two sets of codes agree in everything.
  public static func == (a: TokenizerCodes, b: TokenizerCodes) -> Bool {
    a.metadata == b.metadata && a.codes == b.codes && a.groups == b.groups && a.labels == b.labels
  }

  private var metadata: [String: String] {
    [
      "format": "mergevq-codes", "keepCount": "\(keepCount)", "codeBits": "\(codeBits)", "names": json(names),
      "classNames": json(classNames), "tokenizer": tokenizer.fingerprint, "tokenizerTitle": tokenizer.title,
    ]
  }

  /// Writes a file.
  /// - Throws: `CheckpointError` if the disk is full or failing.
  public func write(to path: String) throws(CheckpointError) {
    let parts: [(String, [Int], [Int32])] =
      [("codes", [imageCount, keepCount], codes), ("groups", [imageCount, positionCount], groups)]
      + (labels.isEmpty ? [] : [("labels", [imageCount], labels)])
    let tensors = parts.compactMap { TensorDescription(name: $0.0, elementType: .int32, shape: $0.1) }
    let elements = Dictionary(uniqueKeysWithValues: parts.map { ($0.0, $0.2) })
    try Safetensors.write(tensors, metadata: metadata, to: path) { .int32(elements[$0.name] ?? []) }
  }

  /// Reads a file and checks every value.
  /// - Throws: `CodeFileError` with what is wrong.
  public init(path: String) throws(CodeFileError) {
    do {
      try self.init(file: try Safetensors(path: path))
    } catch let error as CodeFileError {
      throw error
    } catch {
      throw CodeFileError(path: path, problem: "\(error)".replacingOccurrences(of: "\(path): ", with: ""))
    }
  }

  private init(file: Safetensors) throws {
    func failure(_ problem: String) -> CodeFileError { CodeFileError(path: file.path, problem: problem) }
    func text(_ key: String) throws -> String {
      guard let text = file.metadata[key] else { throw failure("holds no codes of a tokenizer: no '\(key)'") }
      return text
    }
    func number(_ key: String) throws -> Int {
      guard let number = Int(try text(key)), number > 0 else { throw failure("its '\(key)' is not a number") }
      return number
    }
    func list(_ key: String) throws -> [String] {
      do {
        return try JSONDecoder().decode([String].self, from: Data(try text(key).utf8))
      } catch is DecodingError {
        throw failure("its '\(key)' is not a list of texts")
      }
    }
    guard try text("format") == "mergevq-codes" else { throw failure("holds no codes of a tokenizer") }
    (keepCount, codeBits) = (try number("keepCount"), try number("codeBits"))
    (names, classNames) = (try list("names"), try list("classNames"))
    tokenizer = (try text("tokenizer"), try text("tokenizerTitle"))
    let shapes = (try file.shape(of: "codes"), try file.shape(of: "groups"))
    imageCount = names.count
    positionCount = shapes.1.last ?? 0
    guard shapes.0 == [imageCount, keepCount], shapes.1 == [imageCount, positionCount], codeBits <= 24 else {
      throw failure(
        "codes \(shapes.0) and groups \(shapes.1) do not belong to \(imageCount) images of \(keepCount) tokens")
    }
    codes = try file.int32s("codes")
    groups = try file.int32s("groups")
    labels = file.description(of: "labels") == nil ? [] : try file.int32s("labels")
    guard labels.isEmpty || labels.count == imageCount, labels.allSatisfy({ classNames.indices.contains(Int($0)) })
    else {
      throw failure("its labels do not fit \(imageCount) images of \(classNames.count) classes")
    }
    for image in 0..<imageCount {
      let codes = codes[image * keepCount..<(image + 1) * keepCount]
      if let code = codes.first(where: { !(0..<Int32(1) << codeBits).contains($0) }) {
        throw failure("image '\(names[image])' has the code \(code), outside 0..<\(1 << codeBits)")
      }
      let groups = groups[image * positionCount..<(image + 1) * positionCount]
      if let group = groups.first(where: { !(0..<Int32(keepCount)).contains($0) }) {
        throw failure("image '\(names[image])' has a position in token \(group), outside 0..<\(keepCount)")
      }
      guard Set(groups).count == keepCount else {
        throw failure("image '\(names[image])' has tokens that no position belongs to")
      }
    }
  }

  init(
    keepCount: Int, positionCount: Int, codeBits: Int, codes: [Int32], groups: [Int32], labels: [Int32],
    classNames: [String], names: [String], tokenizer: (fingerprint: String, title: String)
  ) {
    imageCount = names.count
    (self.keepCount, self.positionCount, self.codeBits) = (keepCount, positionCount, codeBits)
    (self.codes, self.groups, self.labels, self.classNames, self.names) = (codes, groups, labels, classNames, names)
    self.tokenizer = tokenizer
  }
}

private func json(_ texts: [String]) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .withoutEscapingSlashes
  do {
    return String(decoding: try encoder.encode(texts), as: UTF8.self)
  } catch {
    // A list of texts always has a JSON form.
    fatalError("TokenizerCodes: \(error)")
  }
}

/// A file of codes that cannot be used.
public struct CodeFileError: ExitStatusError, Equatable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// What is wrong with it, as the rest of a sentence.
  public let problem: String

  /// As for all unreadable data.
  public var exitStatus: Int32 { 65 }
  /// The file and its problem.
  public var description: String { "\(path): \(problem)" }
}
