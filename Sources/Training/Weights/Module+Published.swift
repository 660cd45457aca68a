public import Checkpointing
public import Collectives
public import Layers
import Tensors

extension Module {
  /// The shape of every parameter in published files, by name.
  public var publishedShapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.parameter.publishedShape) })
  }

  /// Sets every parameter from a file with published names and layouts.
  /// - Throws: `UnfitWeights` unless the file has exactly these parameters; `CheckpointError` if it cannot be read.
  public func load(published file: any TensorFile) throws {
    let comparison = ParameterComparison(expected: publishedShapes, found: file.shapes)
    guard comparison.isExact else { throw UnfitWeights(path: file.path, report: comparison.description) }
    for (name, parameter) in parameters { parameter.setPublished(try file.floats(name)) }
  }

  /// Writes every parameter under its published name and in its published layout.
  /// - Returns: Length and SHA-256 of the file.
  /// - Throws: `CheckpointError` if the file cannot be written.
  @discardableResult
  public func write(published path: String, metadata: [String: String]) throws(CheckpointError) -> WrittenFile {
    let parameters = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.parameter) })
    let tensors = parameters.compactMap { name, parameter in
      TensorDescription(name: name, elementType: .float32, shape: parameter.publishedShape)
    }
    return try Safetensors.write(tensors, metadata: metadata, to: path) { tensor in
      .float32(parameters[tensor.name]?.published() ?? [])
    }
  }
}

extension ContentHash {
  /// Adds every parameter of a network, with its name and published shape, whatever file it came from.
  mutating func add(_ module: some Module) {
    for (name, parameter) in module.parameters.sorted(by: { $0.name < $1.name }) {
      add("\(name) \(parameter.publishedShape)")
      add(parameter.published())
    }
  }

  /// The hash of a network's parameters alone.
  static func ofParameters(_ module: some Module) -> String {
    var hash = ContentHash()
    hash.add(module)
    return hash.hexadecimalText
  }
}

/// A weight file that does not have a network's parameters.
public struct UnfitWeights: ExitStatusError, CustomStringConvertible {
  /// The file.
  public let path: String
  /// What matched and what did not, key by key.
  public let report: String

  /// As for every unusable checkpoint.
  public var exitStatus: Int32 { 74 }

  /// The file and the whole report.
  public var description: String { "\(path): these are not the weights of this network: \(report)" }
}
