import Foundation

/// Writes a file of events that TensorBoard reads: TFRecords of `tensorflow.Event` messages.
///
/// Each start of a run writes a file of its own. Its first event after the version says from which step the run goes on,
/// whereupon TensorBoard forgets what earlier files hold from that step on (`event_accumulator`, purging of orphaned
/// data). Every event is handed to the system at once, so a killed process loses none.
public final class EventFile {
  /// Where the file is.
  public let path: String
  private let file: Int32

  /// Starts a file in a folder, which must exist.
  /// - Parameters:
  ///   - folder: What TensorBoard is pointed at.
  ///   - firstStep: The first step that this file may describe.
  ///   - time: Seconds since 1970: part of the name, by which TensorBoard sorts the files.
  /// - Throws: `EventFileError` if the file cannot be made or written.
  public init(folder: String, firstStep: Int, time: Double = Date().timeIntervalSince1970) throws(EventFileError) {
    let host = ProcessInfo.processInfo.hostName
    // Microseconds keep two starts within a second apart; TensorBoard sorts by name.
    path = folder + String(format: "/events.out.tfevents.%017.6f.", time) + "\(host).\(getpid())"
    file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw EventFileError(path: path, operation: "open", code: errno) }
    try write(time: time, step: 0) { $0.append(3, "brain.Event:2") }
    // SessionLog with status START.
    try write(time: time, step: firstStep) { event in event.append(7) { $0.append(1, Int64(1)) } }
  }

  deinit { close(file) }

  /// Writes numbers of one step by tag. Those that are not finite are written too, and TensorBoard marks them.
  /// - Throws: `EventFileError`.
  public func append(step: Int, scalars: [(tag: String, value: Double)]) throws(EventFileError) {
    guard !scalars.isEmpty else { return }
    try summary(step: step) { summary in
      for (tag, value) in scalars {
        summary.append(1) {
          $0.append(1, tag)
          $0.append(2, Float(value))
        }
      }
    }
  }

  /// Writes a picture.
  /// - Parameters:
  ///   - step: Where it stands on the axis of steps.
  ///   - tag: Its name; a slash makes groups.
  ///   - encoded: The bytes of a PNG or JPEG file, of a picture of the given size in RGB.
  ///   - width: Pixels of a row.
  ///   - height: Rows.
  /// - Throws: `EventFileError`.
  public func append(step: Int, tag: String, encoded: [UInt8], width: Int, height: Int) throws(EventFileError) {
    try summary(step: step) { summary in
      summary.append(1) { value in
        value.append(1, tag)
        value.append(4) { image in
          image.append(1, Int64(height))
          image.append(2, Int64(width))
          image.append(3, Int64(3))
          image.append(4, encoded)
        }
      }
    }
  }

  /// Writes distributions of one step by tag.
  /// - Throws: `EventFileError`.
  public func append(step: Int, histograms: [(tag: String, histogram: Histogram)]) throws(EventFileError) {
    guard !histograms.isEmpty else { return }
    try summary(step: step) { summary in
      for (tag, histogram) in histograms {
        summary.append(1) { value in
          value.append(1, tag)
          value.append(5) { message in
            message.append(1, histogram.minimum)
            message.append(2, histogram.maximum)
            message.append(3, histogram.count)
            message.append(4, histogram.sum)
            message.append(5, histogram.sumOfSquares)
            message.append(6, packed: histogram.limits)
            message.append(7, packed: histogram.counts)
          }
        }
      }
    }
  }

  private func summary(step: Int, _ fill: (inout ProtocolBuffer) -> Void) throws(EventFileError) {
    try write(time: Date().timeIntervalSince1970, step: step) { event in event.append(5, fill) }
  }

  /// One TFRecord: length, its checksum, message, its checksum.
  private func write(time: Double, step: Int, _ fill: (inout ProtocolBuffer) -> Void) throws(EventFileError) {
    var event = ProtocolBuffer()
    event.append(1, time)
    event.append(2, Int64(step))
    fill(&event)
    let length = littleEndianBytes(UInt64(event.bytes.count))
    let record =
      length + littleEndianBytes(CyclicRedundancyCheck.masked(of: length)) + event.bytes
      + littleEndianBytes(CyclicRedundancyCheck.masked(of: event.bytes))
    var rest = record[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
      guard count >= 0 || errno == EINTR else { throw EventFileError(path: path, operation: "write", code: errno) }
      rest = rest.dropFirst(max(0, count))
    }
  }
}

/// An event file that cannot be written.
public struct EventFileError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// The call to the operating system that failed, and its `errno`.
  public let operation: String, code: Int32

  /// One sentence for the user.
  public var description: String {
    "\(path): \(operation) failed: \(String(cString: strerror(code))) (errno \(code))"
  }
}
