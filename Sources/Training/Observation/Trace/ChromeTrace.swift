import Collectives
import Foundation

/// The timelines of all ranks as one file in Chrome's trace format, which Perfetto opens: a process
/// per rank, a track per thread, all on rank 0's clock.
struct ChromeTrace: Encodable {
  /// A span (`X`) or a name (`M`), in the format's own words; times in microseconds.
  struct Event: Encodable {
    var name: String
    var ph: String
    var pid: Int
    var tid: Int
    var ts: Double?
    var dur: Double?
    var args: [String: String]?
  }

  var traceEvents: [Event] = []
  var displayTimeUnit = "ms"

  /// Puts timelines together.
  /// - Parameters:
  ///   - timelines: The spans of every rank, by rank, each by its own clock.
  ///   - offsets: How far their clocks are from rank 0's.
  init(timelines: [[StepTimeline.Span]], hosts: [String], offsets: [ClockOffsets.Offset]) {
    let first = zip(timelines, offsets).flatMap { spans, offset in spans.map { $0.start - offset.seconds } }.min() ?? 0
    for (rank, spans) in timelines.enumerated() {
      let error = String(format: "%.1f µs", offsets[rank].uncertainty * 1e6)
      traceEvents.append(
        Event(
          name: "process_name", ph: "M", pid: rank, tid: 0,
          args: ["name": "rank \(rank) on \(hosts[rank]), clock within \(error)"]))
      for thread in Set(spans.map(\.thread)).sorted(by: { $0.rawValue < $1.rawValue }) {
        traceEvents.append(
          Event(name: "thread_name", ph: "M", pid: rank, tid: thread.rawValue, args: ["name": "\(thread)"]))
      }
      // Outer spans first, as viewers like it. Whole nanoseconds, so that inner spans stay inside.
      let origin = first + offsets[rank].seconds
      let events = spans.map { span -> Event in
        let start = ((span.start - origin) * 1e9).rounded()
        let end = ((span.end - origin) * 1e9).rounded()
        return Event(
          name: span.name, ph: "X", pid: rank, tid: span.thread.rawValue, ts: start / 1e3, dur: (end - start) / 1e3)
      }
      traceEvents += events.sorted { ($0.ts ?? 0, -($0.dur ?? 0)) < ($1.ts ?? 0, -($1.dur ?? 0)) }
    }
  }

  /// Gathers the ranks' timelines and writes the file on rank 0. Collective.
  static func write(_ timeline: StepTimeline, to path: String, _ communicator: any Communicator) throws {
    let offsets = try ClockOffsets.measure(communicator) { timeline.now }
    let timelines = try communicator.allGather(bytes: Array(JSONEncoder().encode(timeline.spans)))
    let hosts = try communicator.allGather(communicator.hostName)
    try communicator.collectively("writing the trace") {
      guard communicator.isFirst else { return }
      let spans = try timelines.map { try JSONDecoder().decode([StepTimeline.Span].self, from: Data($0)) }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let trace = ChromeTrace(timelines: spans, hosts: hosts, offsets: offsets)
      try replaceFile(path, with: Array(encoder.encode(trace)))
    }
  }
}
