import Foundation

/// Figures with everything that they depend on: JSON for programs, text for people.
public protocol ReportFile: Encodable, Sendable {
  /// A table, and what must be known to read it.
  var text: String { get }
}

extension ReportFile {
  /// Writes the report as JSON.
  /// - Throws: `RunDirectoryError` if it cannot be written.
  public func write(to output: NewOutput) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try replaceFile(output.path, with: Array(try encoder.encode(self)) + [UInt8(ascii: "\n")])
  }

  /// Rows below their titles, right-aligned; columns without a value are left out.
  static func table<Row>(_ rows: [Row], _ columns: [(title: String, value: (Row) -> String?)]) -> String {
    let shown = columns.filter { column in rows.contains { column.value($0) != nil } }
    let cells = [shown.map(\.title)] + rows.map { row in shown.map { $0.value(row) ?? "–" } }
    let widths = shown.indices.map { index in cells.map { $0[index].count }.max() ?? 0 }
    return cells.map { line in
      zip(line, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ") + "\n"
    }.joined()
  }
}
