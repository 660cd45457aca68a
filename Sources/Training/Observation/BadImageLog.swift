import DataLoading
import Foundation

/// Lists images that could not be used in the run directory, one JSON line each; every rank has a file of its own, made
/// with its first entry.
struct BadImageLog {
  private let path: String

  init(directory: RunDirectory, rank: Int) { path = directory.path + "/bad-images-rank\(rank).jsonl" }

  /// Adds images to the list.
  /// - Throws: `RunDirectoryError` if the file cannot be written.
  func append(_ images: [BadImage]) throws {
    guard !images.isEmpty else { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let lines = try images.flatMap { try Array(encoder.encode($0)) + [UInt8(ascii: "\n")] }
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw RunDirectoryError.system("open", path) }
    defer { close(file) }
    try writeFully(file, lines[...], path: path)
  }
}
