import Foundation

/// Appends to `metrics.jsonl`. One rank has one.
///
/// A resumed run continues the same file: what an interrupted run logged beyond its checkpoint is cut off first, so
/// the file always holds one curve.
public final class MetricsLog {
  private let path: String
  private var file: Int32

  /// Opens the log of a run that has done `step` steps (0 for a new one), dropping records beyond them.
  ///
  /// The cut is atomic: a crash leaves the old file or the new one.
  /// - Throws: `RunDirectoryError` if the file cannot be read or written, or holds something else.
  public init(_ directory: RunDirectory, resumingAt step: Int) throws(RunDirectoryError) {
    path = directory.metricsPath
    if access(path, F_OK) == 0 {
      let lines = try Self.lines(of: path)
      let kept = lines.filter { $0.record.step <= step }
      let isTorn = try Self.endsInTornLine(path)
      if kept.count < lines.count || isTorn {
        try replaceFile(path, with: kept.flatMap { $0.text + [UInt8(ascii: "\n")] })
      }
    }
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw .system("open", path) }
  }

  deinit { close(file) }

  /// Adds a record as one line, handed to the system at once so that a killed process loses none of it.
  /// - Throws: `RunDirectoryError`, for example on a full disk.
  public func append(_ record: MetricsRecord) throws(RunDirectoryError) {
    try writeFully(file, Array((record.line + "\n").utf8)[...], path: path)
  }

  /// Every record of a run in the order of writing; a last line that a crash cut off is left out.
  /// - Throws: `RunDirectoryError` if the file is missing, unreadable, or holds something else.
  public static func records(of directory: RunDirectory) throws(RunDirectoryError) -> [MetricsRecord] {
    try lines(of: directory.metricsPath).map(\.record)
  }

  private static func lines(of path: String) throws(RunDirectoryError) -> [(record: MetricsRecord, text: [UInt8])] {
    let bytes = try contents(of: path)
    var result: [(record: MetricsRecord, text: [UInt8])] = []
    let pieces = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, piece) in pieces.dropLast().enumerated() {
      do throws(MetricsRecord.ParsingError) {
        result.append((try MetricsRecord(line: piece), Array(piece)))
      } catch {
        throw RunDirectoryError(path: path, .malformedMetrics(line: index + 1, detail: error.detail))
      }
    }
    return result
  }

  private static func endsInTornLine(_ path: String) throws(RunDirectoryError) -> Bool {
    try contents(of: path).last.map { $0 != UInt8(ascii: "\n") } ?? false
  }

  private static func contents(of path: String) throws(RunDirectoryError) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw .system("open", path) }
    defer { close(file) }
    return try readFully(file, path: path)
  }
}
