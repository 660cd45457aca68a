import Kernels
import Tensors

extension Benchmarks {
  /// What a benchmark is asked for: `--name value` pairs, and `--json`. Names that nothing reads are mistakes.
  final class Options {
    /// Whether to print JSON.
    let isJSON: Bool
    private let values: [String: String]
    private var unread: Set<String>

    init(_ arguments: some Sequence<String>) throws {
      var values: [String: String] = [:]
      var rest = Array(arguments)[...]
      var isJSON = false
      while let option = rest.popFirst() {
        if option == "--json" {
          isJSON = true
          continue
        }
        guard option.hasPrefix("--"), let value = rest.popFirst() else {
          throw UsageError("'\(option)' is no option with a value")
        }
        values[String(option.dropFirst(2))] = value
      }
      self.isJSON = isJSON
      self.values = values
      unread = Set(values.keys)
    }

    /// Options out of a program.
    init(_ values: [String: String]) {
      self.values = values
      isJSON = false
      unread = Set(values.keys)
    }

    /// The value of an option; nil where it is not given.
    func text(_ name: String) -> String? {
      unread.remove(name)
      return values[name]
    }

    /// An integer option.
    func integer(_ name: String, default value: Int, atLeast minimum: Int = 1) throws -> Int {
      guard let text = text(name) else { return value }
      guard let number = Int(text), number >= minimum else {
        throw UsageError("--\(name): '\(text)' is not an integer of at least \(minimum)")
      }
      return number
    }

    /// What the backward pass computes again: `--recomputation none|elementwise|blocks` (elementwise, as
    /// recipes have it).
    func recomputation() throws -> Recomputation {
      guard let name = text("recomputation") else { return .elementwise }
      if let choice = Recomputation(rawValue: name) { return choice }
      let names = Recomputation.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("--recomputation: there is no '\(name)', only \(names)")
    }

    /// To be called when everything has been read.
    func requireNothingUnread() throws {
      guard let name = unread.sorted().first else { return }
      throw UsageError("there is no option --\(name) here")
    }
  }

  struct UsageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
  }
}
