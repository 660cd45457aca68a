import Foundation
import Kernels
import Tensors

/// Our side of the benchmarks: `benchmarks NAME [--batch N] [--threads N] [--warmup N] [--repeat N] [--json] …`.
///
/// Each run times one piece of work and prints the seconds of every counted repetition and the process's peak memory.
/// `Launch/bench` runs it by turns with the PyTorch peers, which take the same options.
@main
struct Benchmarks {
  /// What a benchmark is asked for.
  struct Options {
    var batch: Int?
    var threads = Threads.affinityCount
    var warmup = 1
    var repetitions = 3
    var isJSON = false
    /// Further `--name value` pairs, for the benchmark itself.
    var values: [String: String] = [:]

    /// What the backward pass computes again: `--recomputation none|elementwise|blocks` (none).
    var recomputation: Recomputation {
      get throws {
        guard let name = values["recomputation"] else { return .none }
        if let choice = Recomputation(rawValue: name) { return choice }
        let names = Recomputation.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError("--recomputation: there is no '\(name)', only \(names)")
      }
    }

    /// A further integer option.
    func integer(_ name: String, default value: Int) throws -> Int {
      guard let text = values[name] else { return value }
      guard let number = Int(text), number > 0 else {
        throw UsageError("--\(name): '\(text)' is not a positive number")
      }
      return number
    }
  }

  struct UsageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
  }

  /// Every benchmark: makes its work ready and returns what one repetition does.
  static let all: [String: @Sendable (Options) throws -> () throws -> Void] = [
    "tokenizer-step": tokenizerStep,
    "lfq": lookupFreeQuantization,
    "generator-step": generatorStep,
    "generator-sample": generatorSample,
    "generator-cache": generatorCache,
    "loader": loader,
    "image-index": imageIndex,
  ]

  static func main() {
    do {
      let (name, options) = try parse(Array(CommandLine.arguments.dropFirst()))
      if name == "convolution" { return try ConvolutionBenchmark(options).run() }
      guard let benchmark = all[name] else { throw UsageError("there is no benchmark '\(name)'") }
      Threads.configure(count: options.threads)
      let work = try benchmark(options)
      for _ in 0..<options.warmup { try work() }
      let seconds = try (0..<options.repetitions).map { _ in
        try ContinuousClock().measure { try work() } / .seconds(1)
      }
      report(name, seconds: seconds, options: options)
    } catch {
      let names = (all.keys + ["convolution"]).sorted().joined(separator: "|")
      FileHandle.standardError.write(Data("benchmarks: \(error)\nusage: benchmarks \(names) [--batch N] …\n".utf8))
      exit(64)
    }
  }

  private static func parse(_ arguments: [String]) throws -> (String, Options) {
    guard let name = arguments.first else { throw UsageError("which benchmark?") }
    var options = Options()
    var rest = arguments.dropFirst()
    while let option = rest.popFirst() {
      if option == "--json" {
        options.isJSON = true
        continue
      }
      guard option.hasPrefix("--"), let value = rest.popFirst() else { throw UsageError("'\(option)' lacks a value") }
      options.values[String(option.dropFirst(2))] = value
    }
    options.batch = options.values["batch"] == nil ? nil : try options.integer("batch", default: 1)
    options.threads = try options.integer("threads", default: options.threads)
    options.warmup = options.values["warmup"].flatMap { Int($0) } ?? options.warmup
    options.repetitions = try options.integer("repeat", default: options.repetitions)
    return (name, options)
  }

  private static func report(_ name: String, seconds: [Double], options: Options) {
    let median = seconds.sorted()[seconds.count / 2]
    if options.isJSON {
      let list = seconds.map { String($0) }.joined(separator: ", ")
      print("{\"name\": \"\(name)\", \"median_s\": \(median), \"seconds\": [\(list)], \"peak_bytes\": \(peakBytes())}")
    } else {
      let peak = String(format: "%.2f GB", Double(peakBytes()) / 1e9)
      print(name + String(format: ": %.4f s, peak ", median) + peak + ", \(options.threads) threads")
    }
  }

  /// The process's largest resident set so far, in bytes.
  private static func peakBytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}
