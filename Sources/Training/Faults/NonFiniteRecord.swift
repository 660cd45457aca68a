import Foundation

/// What one rank contributed to a step whose loss or gradients were not finite: a line of `non-finite.jsonl`.
struct NonFiniteRecord: Codable, Equatable {
  /// The step, counted from 1.
  var step: Int
  var rank: Int
  var host: String
  /// Whether this rank's loss was finite.
  var lossIsFinite: Bool
  /// Whether this rank's gradients were finite; the others' may have been.
  var gradientsAreFinite: Bool
  /// The images it learned from, by their number in the data set.
  var samples: [Int]
  /// What was done about it.
  var action: FaultConfig.NonFinitePolicy

  /// `rank 3 (node1): the loss is not finite on samples 17, 4`.
  var text: String {
    "rank \(rank) (\(host)): the \(lossIsFinite ? "gradients are" : "loss is") not finite on samples "
      + samples.map(String.init).joined(separator: ", ")
  }

  /// Adds lines to a file. Called by one rank.
  static func append(_ records: [NonFiniteRecord], to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var lines: [UInt8] = []
    for record in records { lines += try Array(encoder.encode(record)) + [UInt8(ascii: "\n")] }
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw RunDirectoryError.system("open", path) }
    defer { close(file) }
    try writeFully(file, lines[...], path: path)
  }
}
