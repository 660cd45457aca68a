import Foundation

/// What went wrong with a weight file or a checkpoint, and where.
///
/// The description is one sentence for the user: the path, what was expected, what was found, and the next move where
/// there is one.
public struct CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kinds of failure. Names of tensors, kinds and files are those of the file in question.
  public enum Reason: Sendable, Equatable {
    /// A call to the operating system failed; `code` is its `errno`.
    case system(operation: String, code: Int32)
    /// The bytes do not follow the format; `detail` says what is wrong.
    case malformed(format: String, detail: String)
    /// The file follows its format but uses a part of it that is not read; `detail` names it.
    case unsupported(detail: String)
    /// A pickle asks for something else than tensors and plain data, such as `os.system`. Nothing was executed.
    case refusedGlobal(name: String)
    /// No tensor has this name.
    case missingTensor(name: String)
    /// The tensor's elements have another type than the one asked for.
    case elementType(name: String, expected: String, found: String)
    /// An integer of the tensor does not fit into 32 bits.
    case integerOutOfRange(name: String, value: Int64)
    /// The saved parameter has another shape than the model's.
    case shapeMismatch(key: String, expected: [Int], found: [Int])
    /// The model has a parameter that the checkpoint lacks.
    case missingParameter(kind: String, key: String)
    /// The checkpoint has a parameter that the model lacks.
    case unexpectedParameter(kind: String, key: String)
    /// The pieces of a parameter leave floats uncovered, or cover some of them twice.
    case coverage(kind: String, key: String, detail: String)
    /// A name that the format cannot carry, such as a key with `@` in it.
    case invalidName(name: String, rule: String)
    /// The manifest lists a file that is not there.
    case missingFile(name: String)
    /// The directory holds a file that the manifest does not list.
    case extraFile(name: String)
    /// A file is shorter or longer than the manifest says, in bytes.
    case byteCount(expected: Int, found: Int)
    /// A file's content is not what was written.
    case hashMismatch(expected: String, found: String)
    /// The checkpoint was written in a format version that this program does not read.
    case formatVersion(found: Int, supported: Int)
  }

  /// The file or directory in question.
  public let path: String
  /// What is wrong with it.
  public let reason: Reason

  /// Creates an error about `path`.
  public init(path: String, _ reason: Reason) {
    self.path = path
    self.reason = reason
  }

  /// One sentence for the user.
  public var description: String {
    "\(path): \(explanation)"
  }

  private var explanation: String {
    switch reason {
    case .system(let operation, let code):
      "\(operation) failed: \(String(cString: strerror(code))) (errno \(code))"
    case .malformed(let format, let detail):
      "not a valid \(format) file: \(detail)"
    case .unsupported(let detail):
      "\(detail) is not supported"
    case .refusedGlobal(let name):
      "the pickle asks for '\(name)', which is neither a plain tensor nor plain data; refused, nothing was executed"
    case .missingTensor(let name):
      "there is no tensor '\(name)'"
    case .elementType(let name, let expected, let found):
      "tensor '\(name)' holds \(found), expected \(expected)"
    case .integerOutOfRange(let name, let value):
      "tensor '\(name)' holds \(value), which does not fit into 32 bits"
    case .shapeMismatch(let key, let expected, let found):
      "'\(key)' has shape \(found), expected \(expected); the checkpoint belongs to another recipe"
    case .missingParameter(let kind, let key):
      "'\(key)' is missing from kind '\(kind)'; the checkpoint belongs to another recipe"
    case .unexpectedParameter(let kind, let key):
      "'\(key)' of kind '\(kind)' is not a parameter of this model; the checkpoint belongs to another recipe"
    case .coverage(let kind, let key, let detail):
      "'\(key)' of kind '\(kind)' \(detail)"
    case .invalidName(let name, let rule):
      "'\(name)' cannot be used as a name: \(rule)"
    case .missingFile(let name):
      "the file '\(name)' is missing; use an older complete checkpoint"
    case .extraFile(let name):
      "the file '\(name)' is not part of this checkpoint; remove it if you put it there"
    case .byteCount(let expected, let found):
      "\(found) bytes long, expected \(expected); use an older complete checkpoint"
    case .hashMismatch(let expected, let found):
      "SHA-256 is \(found), expected \(expected); use an older complete checkpoint"
    case .formatVersion(let found, let supported):
      "written in checkpoint format \(found); this program reads up to format \(supported)"
    }
  }
}
