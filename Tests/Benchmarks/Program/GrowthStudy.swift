import Evaluation
import Foundation
import Kernels

/// How the time of a training step grows with resolution, batch and tokens, against the operations that it asks for.
///
/// Prints a table and draws `--output` (growth.png). The models are small, so that all of it takes minutes: G+R-d32, and
/// a generator of `--layers` (8) blocks, `--width` (384) wide. Settings take turns, `--repeat` (3) times, each time with a
/// fresh model and one step that does not count; medians are told.
struct GrowthStudy {
  /// One setting of what grows.
  private struct Setting {
    let value: Int
    let options: [String: String]
    var operations = 0
    var seconds: [Double] = []

    var median: Double { seconds.sorted()[seconds.count / 2] }
  }

  /// One thing that grows while all others stay.
  private struct Growth {
    let name: String
    let benchmark: (Benchmarks.Options) throws -> () throws -> Void
    var settings: [Setting]

    /// The power p of the best fit of `seconds ∝ operations^p`: 1 is in proportion, less is better.
    var exponent: Double {
      let points = settings.map { SIMD2(log(Double($0.operations)), log($0.median)) }
      let mean = points.reduce(.zero, +) / Double(points.count)
      let moments = points.reduce(SIMD2.zero) { $0 + ($1.x - mean.x) * ($1 - mean) }
      return moments.y / moments.x
    }
  }

  private var growths: [Growth]
  private let threads: Int
  private let repetitions: Int
  private let output: String
  private let isJSON: Bool

  init(_ options: Benchmarks.Options) throws {
    threads = try options.integer("threads", default: Threads.affinityCount)
    repetitions = try options.integer("repeat", default: 3)
    output = options.text("output") ?? "growth.png"
    isJSON = options.isJSON
    let channels = options.text("channels") ?? "32"
    let resolutions = try Self.list(options, "resolutions", [64, 128, 256, 512])
    let batches = try Self.list(options, "batches", [1, 2, 4, 8])
    let grids = try Self.list(options, "grids", [16, 20, 24, 28, 32])
    let generator = [
      "layers": options.text("layers") ?? "8", "width": options.text("width") ?? "384",
      "heads": options.text("heads") ?? "6", "factorized-layers": "1", "batch": "1",
    ]
    try options.requireNothingUnread()

    func tokenizer(_ value: Int, resolution: Int, batch: Int) -> Setting {
      // Downsampling 16; 9 of 16 positions are kept, as G+R does at 256×256.
      let side = resolution / 16 * 3 / 4
      return Setting(
        value: value,
        options: [
          "channels": channels, "resolution": "\(resolution)", "batch": "\(batch)", "keep": "\(side * side)",
        ])
    }
    growths = [
      Growth(
        name: "resolution", benchmark: tokenizerStep,
        settings: resolutions.map { tokenizer($0, resolution: $0, batch: 1) }),
      Growth(
        name: "batch", benchmark: tokenizerStep, settings: batches.map { tokenizer($0, resolution: 128, batch: $0) }),
      Growth(
        name: "tokens", benchmark: generatorStep,
        settings: grids.map { grid in
          Setting(value: grid * grid, options: generator.merging(["grid": "\(grid)"]) { $1 })
        }),
    ]
  }

  func run() throws {
    Threads.configure(count: threads)
    var study = self
    for _ in 0..<repetitions {
      for (row, growth) in growths.enumerated() {
        for (column, setting) in growth.settings.enumerated() {
          let work = try growth.benchmark(Benchmarks.Options(setting.options))
          let operations = try OperationCount.of(work)
          let seconds = try ContinuousClock().measure(work) / .seconds(1)
          study.growths[row].settings[column].operations = operations
          study.growths[row].settings[column].seconds.append(seconds)
        }
      }
    }
    try study.plot.image().writePNG(to: output)
    print(isJSON ? try study.json : study.table)
  }

  private var table: String {
    var lines = ["| grows | to | GFLOP | s a step | GFLOPS | s ∝ FLOP^p, p |", "|---|---|---|---|---|---|"]
    for growth in growths {
      for (index, setting) in growth.settings.enumerated() {
        let gigaflop = Double(setting.operations) / 1e9
        let power = index == growth.settings.count - 1 ? String(format: "%.2f", growth.exponent) : ""
        let numbers = String(format: "%.1f | %.3f | %.0f", gigaflop, setting.median, gigaflop / setting.median)
        lines.append("| \(growth.name) | \(setting.value) | \(numbers) | \(power) |")
      }
    }
    return lines.joined(separator: "\n")
  }

  private var json: String {
    get throws {
      struct Entry: Encodable {
        let name: String
        let value: Int
        let operations: Int
        let seconds: [Double]
        let exponent: Double
      }
      return try Benchmarks.json([
        "results": growths.flatMap { growth in
          growth.settings.map {
            Entry(
              name: growth.name, value: $0.value, operations: $0.operations, seconds: $0.seconds,
              exponent: growth.exponent)
          }
        }
      ])
    }
  }

  private var plot: LinePlot {
    func curves(_ y: (Setting) -> Double) -> [LinePlot.Series] {
      growths.map { growth in
        LinePlot.Series(
          growth.name, x: growth.settings.map { Double($0.operations) / 1e9 }, y: growth.settings.map(y))
      }
    }
    return LinePlot(
      title: "What a training step costs",
      panels: [
        LinePlot.Panel(
          title: "time", series: curves(\.median), scale: .logarithmic, verticalLabel: "s a step", showsPoints: true),
        LinePlot.Panel(
          title: "rate", series: curves { Double($0.operations) / 1e9 / $0.median }, verticalLabel: "GFLOPS",
          showsPoints: true),
      ], horizontalLabel: "GFLOP", horizontalScale: .logarithmic)
  }

  /// A list of positive integers: `64,128`.
  private static func list(_ options: Benchmarks.Options, _ name: String, _ values: [Int]) throws -> [Int] {
    guard let text = options.text(name) else { return values }
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard numbers.count > 1, numbers.allSatisfy({ $0 > 0 }) else {
      throw Benchmarks.UsageError("--\(name): '\(text)' is no list of at least two positive integers, like 64,128")
    }
    return numbers
  }
}
