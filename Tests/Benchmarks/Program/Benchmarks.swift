import Foundation
import Kernels

/// Our side of the benchmarks: `benchmarks NAME [--batch N] [--threads N] [--warmup N] [--repeat N] [--json] …`.
///
/// Each run times one piece of work and prints the seconds of every counted repetition, the process's peak memory, and
/// what does not depend on the machine: operations, and memory of tensors.
/// `Launch/bench` runs it by turns with the PyTorch peers, which take the same options.
@main
struct Benchmarks {
  /// Every benchmark of one piece of work: makes it ready and returns what one repetition does.
  static let all: [String: @Sendable (Options) throws -> () throws -> Void] = [
    "tokenizer-step": tokenizerStep,
    "tokenizer-full-step": tokenizerFullStep,
    "lfq": lookupFreeQuantization,
    "generator-step": generatorStep,
    "generator-sample": generatorSample,
    "generator-cache": generatorCache,
    "loader": loader,
    "image-index": imageIndex,
  ]

  /// Programs that measure more than one piece of work, or none.
  static let others: [String: @Sendable (Options) throws -> Void] = [
    "convolution": { try ConvolutionBenchmark($0).run() },
    "growth": { try GrowthStudy($0).run() },
    "photographs": drawPhotographs,
  ]

  static func main() {
    do {
      guard let name = CommandLine.arguments.dropFirst().first else { throw UsageError("which benchmark?") }
      let options = try Options(CommandLine.arguments.dropFirst(2))
      if let program = others[name] { return try program(options) }
      guard let benchmark = all[name] else { throw UsageError("there is no benchmark '\(name)'") }
      try measure(name, benchmark, options)
    } catch {
      let names = (Array(all.keys) + Array(others.keys)).sorted().joined(separator: "|")
      FileHandle.standardError.write(Data("benchmarks: \(error)\nusage: benchmarks \(names) [--batch N] …\n".utf8))
      exit(64)
    }
  }

  private static func measure(
    _ name: String, _ benchmark: (Options) throws -> () throws -> Void, _ options: Options
  ) throws {
    let threads = try options.integer("threads", default: Threads.affinityCount)
    let warmup = try options.integer("warmup", default: 1, atLeast: 0)
    let repetitions = try options.integer("repeat", default: 3)
    Threads.configure(count: threads)
    let work = try benchmark(options)
    try options.requireNothingUnread()
    for _ in 0..<warmup { try work() }
    let before = StoragePool.shared.statistics
    StoragePool.shared.resetPeak()
    var seconds: [Double] = []
    let operations = try OperationCount.of {
      for _ in 0..<repetitions { seconds.append(try ContinuousClock().measure { try work() } / .seconds(1)) }
    }
    let memory = StoragePool.shared.statistics
    let report = Report(
      name: name, seconds: seconds, peakBytes: peakBytes(), operations: operations / repetitions,
      systemBlocks: memory.systemAllocationCount - before.systemAllocationCount,
      workingBytes: memory.peakLiveBytes - before.liveBytes)
    print(options.isJSON ? try json(report) : report.text(threads: threads))
  }

  /// What repetitions of a piece of work took.
  private struct Report: Encodable {
    let name: String
    let seconds: [Double]
    /// The process's largest resident set.
    let peakBytes: Int
    /// Operations of a repetition, see `OperationCount`.
    let operations: Int
    /// Blocks of tensor memory that the counted repetitions took from the system.
    let systemBlocks: Int
    /// The most bytes of tensor memory that they used at once, beside what stays from one to the next.
    let workingBytes: Int

    func text(threads: Int) -> String {
      let median = seconds.sorted()[seconds.count / 2]
      var text = name + String(format: ": %.4f s", median)
      if operations > 0 { text += String(format: ", %.0f GFLOPS", Double(operations) / median / 1e9) }
      return text + String(format: ", peak %.2f GB, ", Double(peakBytes) / 1e9) + "\(threads) threads"
    }
  }

  /// `value` as one line of JSON, keys in snake case.
  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// The process's largest resident set so far, in bytes.
  private static func peakBytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}
