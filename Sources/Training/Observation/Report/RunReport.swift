import Evaluation
import Foundation

/// A run on one page that needs nothing but a browser: `RUN/report.html`, made from the run directory alone.
public struct RunReport {
  private let directory: RunDirectory
  private let records: [MetricsRecord]
  private let heartbeats: [Heartbeat]
  private let configuration: String

  /// Reads a run.
  /// - Throws: `RunDirectoryError` if its metrics or its recipe cannot be read.
  public init(_ directory: RunDirectory) throws(RunDirectoryError) {
    self.directory = directory
    records = try MetricsLog.records(of: directory)
    let file = open(directory.recipePath, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw .system("open", directory.recipePath) }
    defer { close(file) }
    configuration = String(decoding: try readFully(file, path: directory.recipePath), as: UTF8.self)
    let first = directory.heartbeat(rank: 0)
    heartbeats = (0..<(first?.worldSize ?? 0)).compactMap { directory.heartbeat(rank: $0) }
  }

  /// Writes the page, replacing an older one.
  /// - Returns: Its path.
  /// - Throws: `RunDirectoryError`.
  @discardableResult
  public func write() throws(RunDirectoryError) -> String {
    try replaceFile(directory.reportPath, with: Array(html.utf8))
    return directory.reportPath
  }

  /// The page.
  public var html: String {
    let title = escaped(name ?? directory.path)
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
      <title>\(title)</title><style>\(Self.styleSheet)</style></head><body>
      <h1>\(title)</h1><p class="path">\(escaped(directory.path))</p>
      \(figures)\(curves)\(pictures)\(ranks)\(history)
      <section><h2>Configuration</h2><pre>\(escaped(configuration))</pre></section>
      </body></html>

      """
  }

  private var name: String? {
    configuration.split(separator: "\n").first { $0.hasPrefix("name:") }
      .map { $0.dropFirst(5).trimmingCharacters(in: .whitespaces) }
  }

  private func last(_ kind: MetricsRecord.Kind) -> MetricsRecord? { records.last { $0.kind == kind } }

  /// The newest values at a glance.
  private var figures: String {
    var items: [(String, String)] = []
    if let step = records.map(\.step).max() {
      let total = heartbeats.first?.totalSteps.map { " of \($0)" } ?? ""
      items.append(("steps", "\(step)\(total)"))
    }
    if let values = last(.train)?.values {
      if let loss = values["loss"] { items.append(("loss", String(format: "%.4g", loss))) }
      if let rate = values["imagesPerSecond"] { items.append(("images per second", String(format: "%.1f", rate))) }
      if let gflops = values["gflops"], let share = values["peakShare"] {
        items.append(("effective GFLOPS, all ranks", String(format: "%.0f", gflops)))
        items.append(("of the measured peak", String(format: "%.0f %%", 100 * share)))
      }
      if let times = StepShares(values) {
        items.append(("of a step waiting for data", String(format: "%.1f %%", 100 * times.data)))
        items.append(("waiting in communication", String(format: "%.1f %%", 100 * times.communication)))
      }
      if let memory = values["peakMemoryOfFullestRank"], memory > 0 {
        items.append(("peak memory, fullest rank", String(format: "%.2f GiB", memory / 1_073_741_824)))
      }
    }
    if let values = last(.validation)?.values {
      for name in ["loss", "psnr"] {
        if let value = values[name] { items.append(("validation \(name)", String(format: "%.4g", value))) }
      }
    }
    return "<dl>" + items.map { "<div><dd>\(escaped($1))</dd><dt>\(escaped($0))</dt></div>" }.joined() + "</dl>\n"
  }

  private var curves: String {
    let charted = records.filter { $0.kind != .resume }.map { Double($0.step) }
    guard let first = charted.min(), let end = charted.max() else { return "<p>Nothing was logged yet.</p>" }
    let markers = records.filter { $0.kind == .resume }.map { Double($0.step) }
    func section(_ title: String, _ panels: [LinePlot.Panel]) -> String {
      guard !panels.isEmpty else { return "" }
      let charts = panels.map { CurveChart(panel: $0, steps: first...max(end, first + 1), markers: markers).html }
      return "<section><h2>\(title)</h2><div class=\"charts\">\n\(charts.joined())</div></section>\n"
    }
    return section("Learning", LossPicture.panels(records)) + section("Throughput and stragglers", efficiencyPanels)
  }

  private var efficiencyPanels: [LinePlot.Panel] {
    func panel(_ title: String, _ curves: [(String, String)]) -> LinePlot.Panel? {
      let series = curves.compactMap { label, name -> LinePlot.Series? in
        let points = records.filter { $0.kind == .train }.compactMap { record in
          record.values[name].map { SIMD2(Double(record.step), $0) }
        }
        return points.isEmpty ? nil : LinePlot.Series(label, points: points)
      }
      return series.isEmpty ? nil : LinePlot.Panel(title: title, series: series)
    }
    return [
      panel("effective GFLOPS of all ranks", [("achieved", "gflops"), ("measured peak", "peakGFLOPS")]),
      panel(
        "computing in a step, seconds",
        [("slowest rank", "workSecondsMax"), ("median", "workSecondsMedian"), ("fastest", "workSecondsMin")]),
      panel(
        "waiting for data in a step, seconds", [("worst rank", "dataSecondsMax"), ("median", "dataSecondsMedian")]),
      panel(
        "communication in a step, seconds",
        [("training waits", "communicationSecondsMedian"), ("beside computing", "communicationHiddenSeconds")]),
      panel("slowest rank", [("rank", "slowestRank")]),
    ].compactMap(\.self)
  }

  /// Reconstructions or samples over time, and the picture of the codebook.
  private var pictures: String {
    func image(_ path: String, type: String, caption: String) -> String? {
      guard let content = FileManager.default.contents(atPath: path) else { return nil }
      return "<figure><figcaption>\(escaped(caption))</figcaption>"
        + "<img alt=\"\(escaped(caption))\" src=\"data:image/\(type);base64,\(content.base64EncodedString())\"></figure>\n"
    }
    func section(_ title: String, _ images: [String]) -> String {
      guard !images.isEmpty else { return "" }
      return "<section><h2>\(title)</h2><div class=\"strip\">\n\(images.joined())</div></section>\n"
    }
    let overTime = ValidationPicture.Kind.allCases.map { kind in
      let over = PictureHistory(directory, kind).pictures().compactMap {
        image($0.path, type: "jpeg", caption: "after step \($0.step)")
      }
      let atEnd = image("\(directory.path)/\(kind.rawValue).png", type: "png", caption: "at the end")
      return section(kind.title, over.isEmpty ? [atEnd].compactMap(\.self) : over)
    }
    let codebook = image(
      directory.path + "/codebook.png", type: "png", caption: "use of every code, balance of every bit")
    return overTime.joined() + section("Code usage", [codebook].compactMap(\.self))
  }

  private var ranks: String {
    guard !heartbeats.isEmpty else { return "" }
    let header = [
      "rank", "host", "step", "computing", "data", "communication", "GFLOPS", "of peak", "peak memory", "last heard of",
      "doing",
    ]
    let rows = heartbeats.map { beat -> [String] in
      var row = ["\(beat.rank)", beat.host, "\(beat.step)"]
      let times = beat.times.map { [$0.work, $0.data, $0.communication] }
      row += times?.map { String(format: "%.3f s", $0) } ?? ["–", "–", "–"]
      row.append(beat.rate.map { String(format: "%.1f", $0.gflops) } ?? "–")
      row.append(beat.rate.map { String(format: "%.0f %%", 100 * $0.gflops / max($0.peakGFLOPS, 1e-9)) } ?? "–")
      row.append(beat.rate?.peakMemory.map { String(format: "%.2f GiB", Double($0) / 1_073_741_824) } ?? "–")
      return row + [beat.time, beat.place]
    }
    return "<section><h2>Ranks</h2><div class=\"strip\">\(Self.table(header, rows))</div></section>\n"
  }

  /// Restarts and skipped steps.
  private var history: String {
    var events = records.filter { $0.kind == .resume }.map { "resumed after step \($0.step)" }
    if let skipped = last(.train)?.values["skippedSteps"], skipped > 0 {
      events.append("\(Int(skipped)) steps skipped since the last start, because loss or gradients were not finite")
    }
    if let bad = last(.train)?.values["badImages"], bad > 0 {
      events.append("\(Int(bad)) times an image could not be used")
    }
    let items = events.map { "<li>\(escaped($0))</li>" }.joined()
    let list = events.isEmpty ? "<p>None.</p>" : "<ul>\(items)</ul>"
    return "<section><h2>Restarts and troubles</h2>\(list)</section>\n"
  }

  private static func table(_ header: [String], _ rows: [[String]]) -> String {
    func row(_ cells: [String], _ tag: String) -> String {
      "<tr>" + cells.map { "<\(tag)>\(escaped($0))</\(tag)>" }.joined() + "</tr>"
    }
    return "<table>" + row(header, "th") + rows.map { row($0, "td") }.joined() + "</table>"
  }

  /// Readable on light and dark screens; no font or picture from elsewhere.
  private static let styleSheet = """
    :root{--ink:#1c2126;--dim:#66707a;--line:#dde2e7;--page:#fff;--card:#f6f8fa;--c0:#1f6fd0;--c1:#d9622b;--c2:#2e9a5b}
    @media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--dim:#98a2ad;--line:#333b44;--page:#14181c;--card:#1c2127;
    --c0:#5aa2f5;--c1:#f08a55;--c2:#57c785}}
    body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:1180px;margin:0 auto;
    padding:24px}
    h1{font-size:26px;margin:0}h2{font-size:18px;margin:32px 0 12px}.path{color:var(--dim);margin:0 0 20px}
    dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:0}
    dl div{background:var(--card);border-radius:8px;padding:10px 14px}dd{font-size:20px;font-weight:600;margin:0}
    dt{color:var(--dim);font-size:13px}
    .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:14px}
    figure{background:var(--card);border-radius:8px;padding:10px;margin:0}
    figcaption{display:flex;justify-content:space-between;gap:12px;flex-wrap:wrap;font-weight:600;font-size:14px}
    figcaption span{font-weight:400;font-size:13px}
    svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font-size:12px}
    .grid{stroke:var(--line);fill:none}.marker{stroke:var(--dim);stroke-dasharray:4 3;fill:none}
    .curve{fill:none;stroke-width:1.6;stroke-linejoin:round}
    .curve.c0{stroke:var(--c0)}.curve.c1{stroke:var(--c1)}.curve.c2{stroke:var(--c2)}
    circle.c0{fill:var(--c0)}circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}
    .key.c0{color:var(--c0)}.key.c1{color:var(--c1)}.key.c2{color:var(--c2)}
    .strip{display:flex;gap:14px;overflow-x:auto;align-items:flex-start}.strip img{display:block;max-height:720px;
    margin-top:8px;background:#fff}
    table{border-collapse:collapse;font-size:14px;white-space:nowrap}
    th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--line)}th{color:var(--dim);font-weight:500}
    pre{background:var(--card);border-radius:8px;padding:14px;overflow-x:auto;font-size:13px}
    """
}

extension ValidationPicture.Kind {
  fileprivate var title: String {
    switch self {
    case .reconstructions: "Reconstructions and merge maps over time"
    case .samples: "Samples over time"
    }
  }
}

/// What shares of a step the median rank spends how.
struct StepShares {
  /// Seconds of the step.
  let seconds: Double
  /// Shares, from 0 to 1.
  let data: Double, communication: Double

  /// Out of a training record's values; nil where they tell no times.
  init?(_ values: [String: Double]) {
    guard let work = values["workSecondsMedian"], let data = values["dataSecondsMedian"],
      let communication = values["communicationSecondsMedian"], work + data + communication > 0
    else { return nil }
    seconds = work + data + communication
    self.data = data / seconds
    self.communication = communication / seconds
  }
}
