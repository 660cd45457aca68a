import Checkpointing
import Foundation

/// What a user wants to know of a run's checkpoints or of a weight file, without loading them into a model.
public struct CheckpointInspection {
  /// The answer, several lines.
  public let text: String

  /// Looks at a run directory, one checkpoint, or a weight file. Reads headers only.
  /// - Throws: `CheckpointError` if it cannot be read; `ConfigError` if there is nothing.
  public init(path: String) throws {
    if isRegularFile(path) {
      text = Self.describe(try WeightFile.open(path))
      return
    }
    let found = try checkpointDirectories(path)
    var lines: [String] = []
    if found.count > 1 { lines.append("\(found.count) checkpoints; the newest:") }
    lines.append(Self.describe(try CheckpointReader(directory: found[0])))
    if found.count > 1 {
      lines.append("older: " + found.dropFirst().map { ($0 as NSString).lastPathComponent }.joined(separator: ", "))
    }
    text = lines.joined(separator: "\n") + "\n"
  }

  private static func describe(_ checkpoint: CheckpointReader) -> String {
    let manifest = checkpoint.manifest
    var table: [(String, String)] = [
      ("step", "\(manifest.step)"), ("data cursor", "\(manifest.cursor) samples"),
      (
        "written by",
        "\(manifest.worldSize) rank\(manifest.worldSize == 1 ? "" : "s"), format \(manifest.formatVersion)"
      ),
      ("recipe", recipeName(manifest.recipe)),
    ]
    for kind in checkpoint.kinds {
      let shapes = checkpoint.shapes(ofKind: kind)
      let count = shapes.values.reduce(0) { $0 + $1.reduce(1, *) }
      table.append((kind, "\(count) parameters in \(shapes.count) tensors"))
    }
    let files = manifest.files.sorted { $0.name < $1.name }.map { ($0.name, bytes($0.byteCount)) }
    let total = ("total", bytes(manifest.files.reduce(0) { $0 + $1.byteCount }))
    return checkpoint.directory + "\n" + aligned(table) + "\nfiles\n" + aligned(files + [total])
  }

  private static func describe(_ file: any TensorFile) -> String {
    var table: [(String, String)] = []
    for (key, title) in [
      (WeightFileKey.kind, "network"), (WeightFileKey.step, "step"), (WeightFileKey.weights, "weights"),
      (WeightFileKey.source, "imported from"),
    ] {
      guard let value = file.metadata[key] else { continue }
      table.append((title, value.replacingOccurrences(of: "\n", with: "; ")))
    }
    if let recipe = file.metadata[WeightFileKey.recipe] { table.append(("recipe", recipeName(recipe))) }
    if let initial = file.metadata[WeightFileKey.initial] {
      table.append(("at random values", "\(initial.split(separator: "\n").count) parameters that the import lacked"))
    }
    var parts: [String: (tensors: Int, elements: Int)] = [:]
    for tensor in file.tensors {
      let part = String(tensor.name.prefix { $0 != "." })
      let sum = parts[part] ?? (0, 0)
      parts[part] = (sum.tensors + 1, sum.elements + tensor.elementCount)
    }
    let contents = parts.sorted { $0.key < $1.key }.map {
      ($0.key, "\($0.value.elements) values in \($0.value.tensors) tensor\($0.value.tensors == 1 ? "" : "s")")
    }
    return file.path + "\n" + aligned(table + contents) + "\n"
  }

  /// The `name` of a recipe, which is at its top.
  private static func recipeName(_ yaml: String) -> String {
    yaml.split(separator: "\n").first { $0.hasPrefix("name: ") }.map { String($0.dropFirst(6)) } ?? "without a name"
  }

  private static func bytes(_ count: Int) -> String {
    count < 1_000_000 ? "\(count) bytes" : String(format: "%.1f MB", Double(count) / 1e6)
  }

  private static func aligned(_ rows: [(String, String)]) -> String {
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { "  \($0)\(String(repeating: " ", count: width - $0.count))  \($1)" }.joined(separator: "\n")
  }
}

/// Whether a path is a file, as opposed to a folder or nothing.
func isRegularFile(_ path: String) -> Bool {
  var isDirectory: ObjCBool = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
}

/// The checkpoints that a path means: itself, or all of a run directory, newest first; never empty.
/// - Throws: `ConfigError` if there is none.
func checkpointDirectories(_ path: String) throws -> [String] {
  if FileManager.default.fileExists(atPath: path + "/manifest.json") { return [path] }
  let found = try CheckpointFolder(runDirectory: path).candidates().map(\.directory)
  guard found.isEmpty else { return found }
  // A folder that is named like a checkpoint has lost its manifest.
  if (path as NSString).lastPathComponent.hasPrefix("step-"), FileManager.default.fileExists(atPath: path) {
    return [path]
  }
  throw ConfigError(
    origin: path,
    problem: "there is no checkpoint here; name a run directory, one of its checkpoints/step-…, or a weight file")
}
