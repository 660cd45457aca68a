import Checkpointing
import Foundation
import Layers
import Tensors

/// The weights of a network, found in published files: what is there, what is not, and where everything goes.
struct WeightImport {
  /// Values of a parameter: part `index` of `count` along the first axis of a tensor.
  private struct Source {
    let file: Int
    let tensor: String
    let index: Int
    let count: Int
  }

  private let files: [any TensorFile]
  private let sources: [String: Source]
  /// Shapes in the files, by parameter.
  let shapes: [String: [Int]]
  /// Tensors that belong to something else, by what.
  private let others: [String: Int]
  /// Parameters that two tensors give, and tensors that cannot be divided.
  private let conflicts: [String]

  /// Sorts out the tensors of files.
  init(_ files: [any TensorFile], names: PublishedNames) {
    var sources: [String: Source] = [:]
    var shapes: [String: [Int]] = [:]
    var others: [String: Int] = [:]
    var conflicts: [String] = []
    for (index, file) in files.enumerated() {
      for tensor in file.tensors {
        switch names.place(tensor.name) {
        case .other(let part): others[part, default: 0] += 1
        case .parameters(let keys):
          guard let rows = keys.count == 1 ? 1 : tensor.shape.first, rows % keys.count == 0 || keys.count == 1 else {
            conflicts.append("'\(tensor.name)' of shape \(tensor.shape) does not divide into \(keys.count)")
            continue
          }
          for (part, key) in keys.enumerated() {
            if let other = sources[key] {
              conflicts.append("'\(key)' is given by '\(other.tensor)' and by '\(tensor.name)'")
            }
            sources[key] = Source(file: index, tensor: tensor.name, index: part, count: keys.count)
            shapes[key] = keys.count == 1 ? tensor.shape : [rows / keys.count] + tensor.shape.dropFirst()
          }
        }
      }
    }
    self.files = files
    self.sources = sources
    self.shapes = shapes
    self.others = others
    self.conflicts = conflicts
  }

  /// What importing into a network found.
  struct Outcome {
    let comparison: ParameterComparison
    let conflicts: [String]
    let others: [String: Int]
    /// Missing parameters that may be missing.
    let allowed: [String]

    /// Whether every parameter has its values, or may lack them.
    var isComplete: Bool {
      conflicts.isEmpty && comparison.unexpected.isEmpty && comparison.misshapen.isEmpty
        && comparison.missing.count == allowed.count
    }

    /// Counts, then a line per difference; with `listing` a line per match too.
    func text(listing: Bool) -> String {
      let allowedSet = Set(allowed)
      var lines = [
        "\(comparison.matched.count) parameters matched, \(comparison.missing.count) missing, "
          + "\(comparison.unexpected.count) unexpected, \(comparison.misshapen.count) of another shape"
      ]
      lines += others.sorted { $0.key < $1.key }.map { "not needed: \($0.value) tensors of \($0.key)" }
      if listing { lines += comparison.matched.map { "matched: \($0)" } }
      lines += conflicts
      lines += comparison.missing.map {
        allowedSet.contains($0) ? "missing: \($0), stays at its random initial value" : "missing: \($0)"
      }
      lines += comparison.unexpected.map { "unexpected: \($0) \(foundShape($0))" }
      lines += comparison.misshapen.map { "shape: \($0.key) is \($0.found), expected \($0.expected)" }
      return lines.joined(separator: "\n")
    }

    fileprivate let shapes: [String: [Int]]
    private func foundShape(_ key: String) -> String { shapes[key].map { "\($0)" } ?? "" }
  }

  /// Compares with a network's parameters.
  /// - Parameter allowedMissing: Names, or beginnings of names up to a dot, of parameters that may be missing.
  func outcome(for module: some Module, allowedMissing: [String]) -> Outcome {
    let comparison = ParameterComparison(expected: module.publishedShapes, found: shapes)
    let allowed = comparison.missing.filter { key in
      allowedMissing.contains { key == $0 || key.hasPrefix($0 + ".") }
    }
    return Outcome(comparison: comparison, conflicts: conflicts, others: others, allowed: allowed, shapes: shapes)
  }

  /// Sets the parameters that the files have.
  /// - Throws: `CheckpointError` if a tensor holds something else than floating point numbers.
  /// - Precondition: The outcome for this network is complete.
  func load(into module: some Module) throws(CheckpointError) {
    for (name, parameter) in module.parameters {
      guard let source = sources[name] else { continue }
      let floats = try files[source.file].floats(source.tensor)
      let count = floats.count / source.count
      parameter.setPublished(floats[source.index * count..<(source.index + 1) * count])
    }
  }
}
