import Foundation
import Kernels
import Tensors

/// The speed of 3×3 convolutions by shape, pass and algorithm, beside that of a large matrix product measured between
/// them; and their errors against float64.
///
/// Speeds are effective: the operations of a direct convolution over the time taken, so Winograd exceeds the processor's
/// own rate. With one thread, processor time is taken, which other programs on the machine disturb least.
struct ConvolutionBenchmark {
  /// Batch, input channels, output channels, height and width, stride.
  typealias Entry = (batch: Int, inputs: Int, outputs: Int, side: Int, stride: Int)

  static let entries: [Entry] = [
    (1, 64, 64, 256, 1), (1, 128, 128, 64, 1), (1, 128, 128, 128, 1), (1, 256, 256, 32, 1), (1, 256, 256, 64, 1),
    (2, 512, 512, 16, 1),
    (1, 64, 256, 128, 1), (8, 512, 512, 16, 1),
    (1, 512, 2048, 16, 1), (1, 3, 64, 256, 1), (1, 64, 3, 256, 1), (1, 64, 64, 256, 2),
    (1, 128, 128, 128, 2), (1, 256, 256, 32, 2),
  ]

  /// One pass of one shape by one algorithm.
  struct Result {
    let entry: Entry
    let pass: String
    let algorithm: ConvolutionAlgorithm
    /// Effective GFLOPS of the median and the fastest repetition, and of the product measured just before.
    let median: Double, best: Double, product: Double
    /// The largest error over the largest value.
    let error: Double?
  }

  private let threads: Int
  private let warmup: Int
  private let repetitions: Int
  private let isJSON: Bool
  private let measuresErrors: Bool
  private let algorithms: [ConvolutionAlgorithm]

  /// Options: `--algorithm` (automatic; `all` for each), `--errors yes` to compare with float64, which takes minutes.
  init(_ options: Benchmarks.Options) throws {
    threads = try options.integer("threads", default: Threads.affinityCount)
    warmup = try options.integer("warmup", default: 1, atLeast: 0)
    repetitions = try options.integer("repeat", default: 3)
    isJSON = options.isJSON
    measuresErrors = options.text("errors") == "yes"
    let name = options.text("algorithm") ?? "automatic"
    algorithms = ConvolutionAlgorithm.allCases.filter { name == "all" || name == "\($0)" }
    if algorithms.isEmpty { throw Benchmarks.UsageError("--algorithm: there is no '\(name)'") }
    try options.requireNothingUnread()
    Threads.configure(count: threads)
  }

  func run() {
    for entry in Self.entries {
      for algorithm in algorithms { measure(entry, algorithm).forEach(report) }
    }
  }

  private func measure(_ entry: Entry, _ algorithm: ConvolutionAlgorithm) -> [Result] {
    let shape = ConvolutionShape(
      batch: entry.batch, height: entry.side, width: entry.side, inputChannels: entry.inputs,
      outputChannels: entry.outputs, stride: entry.stride)
    var random = SplitMix64(seed: 1)
    let x = Tensor.uniform(in: -1...1, shape: [shape.inputCount], using: &random)
    let weight = Tensor.uniform(in: -0.05...0.05, shape: [shape.weightCount], using: &random)
    let dY = Tensor.uniform(in: -1...1, shape: [shape.outputCount], using: &random)
    let reference = measuresErrors ? DirectConvolution(x, weight, dY, shape) : nil
    return [
      result("forward", entry, algorithm, shape, Tensor(uninitialized: [shape.outputCount]), reference?.y) { y in
        convolution(x.pointer, weight: weight.pointer, bias: nil, into: y, shape, algorithm: algorithm)
      },
      result("input gradient", entry, algorithm, shape, Tensor(uninitialized: [shape.inputCount]), reference?.dX) {
        convolutionInputGradient(
          dY.pointer, weight: weight.pointer, into: $0, shape, accumulating: false, algorithm: algorithm)
      },
      result("weight gradient", entry, algorithm, shape, Tensor(uninitialized: [shape.weightCount]), reference?.dW) {
        convolutionWeightGradient(
          x.pointer, dY.pointer, into: $0, shape, accumulating: false, algorithm: algorithm)
      },
    ]
  }

  private func result(
    _ pass: String, _ entry: Entry, _ algorithm: ConvolutionAlgorithm, _ shape: ConvolutionShape, _ output: Tensor,
    _ reference: [Double]?, _ work: (UnsafeMutablePointer<Float>) -> Void
  ) -> Result {
    let product = productSpeed()
    let seconds = time { work(output.pointer) }
    let operations = Double(shape.operationCount) * 1e-9
    return Result(
      entry: entry, pass: pass, algorithm: algorithm, median: operations / seconds.median,
      best: operations / seconds.best, product: product,
      error: reference.map { largestError(output.values, $0) })
  }

  /// GFLOPS of a 512³ product.
  private func productSpeed() -> Double {
    let size = 512
    let matrices = (0..<3).map { _ in Tensor(repeating: 1, shape: [size, size]) }
    let seconds = time { gemm(matrices[0].matrix, matrices[1].matrix, into: matrices[2].matrix) }
    return 2e-9 * Double(size * size * size) / seconds.best
  }

  private func time(_ work: () -> Void) -> (median: Double, best: Double) {
    for _ in 0..<warmup { work() }
    let seconds = (0..<repetitions).map { _ in
      let start = now()
      work()
      return now() - start
    }.sorted()
    return (seconds[seconds.count / 2], seconds[0])
  }

  private func now() -> Double {
    var time = timespec()
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  private func largestError(_ values: [Float], _ reference: [Double]) -> Double {
    let scale = reference.reduce(0) { max($0, abs($1)) }
    return zip(values, reference).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / scale
  }

  private func report(_ result: Result) {
    let (entry, ratio) = (result.entry, result.median / result.product)
    let shape =
      "\(entry.batch)×\(entry.side)²×\(entry.inputs)→\(entry.outputs)" + (entry.stride > 1 ? " /\(entry.stride)" : "")
    if isJSON {
      let error = result.error.map { ", \"error\": \($0)" } ?? ""
      print(
        "{\"name\": \"convolution\", \"shape\": \"\(shape)\", \"pass\": \"\(result.pass)\", "
          + "\"algorithm\": \"\(result.algorithm)\", \"median_gflops\": \(result.median), "
          + "\"best_gflops\": \(result.best), \"product_gflops\": \(result.product)\(error)}")
    } else {
      let name = shape.padding(toLength: 20, withPad: " ", startingAt: 0)
      let pass = result.pass.padding(toLength: 16, withPad: " ", startingAt: 0)
      let algorithm = "\(result.algorithm)".padding(toLength: 10, withPad: " ", startingAt: 0)
      let speeds = String(
        format: "%6.0f median %6.0f best, %5.2f times the product's %4.0f", result.median, result.best, ratio,
        result.product)
      print(name + pass + algorithm + speeds + (result.error.map { String(format: ", error %.1e", $0) } ?? ""))
    }
  }
}

/// The three passes of a 3×3 convolution with padding 1, in float64 and straight from the definition.
private struct DirectConvolution {
  var y: [Double], dX: [Double], dW: [Double]

  init(_ x: Tensor, _ weight: Tensor, _ dY: Tensor, _ shape: ConvolutionShape) {
    let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
    let (x, w, g) = (x.values.map(Double.init), weight.values.map(Double.init), dY.values.map(Double.init))
    y = [Double](repeating: 0, count: g.count)
    dX = [Double](repeating: 0, count: x.count)
    dW = [Double](repeating: 0, count: w.count)
    for pixel in 0..<shape.batch * shape.outputHeight * shape.outputWidth {
      let (image, j) = (pixel / (shape.outputHeight * shape.outputWidth), pixel % shape.outputWidth)
      let i = pixel / shape.outputWidth % shape.outputHeight
      for tap in 0..<9 {
        let (row, column) = (i * shape.stride + tap / 3 - 1, j * shape.stride + tap % 3 - 1)
        guard (0..<shape.height).contains(row), (0..<shape.width).contains(column) else { continue }
        let source = ((image * shape.height + row) * shape.width + column) * inputs
        for c in 0..<inputs {
          let (taps, value) = ((tap * inputs + c) * outputs, x[source + c])
          var sum = 0.0
          for o in 0..<outputs {
            let gradient = g[pixel * outputs + o]
            y[pixel * outputs + o] += value * w[taps + o]
            dW[taps + o] += value * gradient
            sum += w[taps + o] * gradient
          }
          dX[source + c] += sum
        }
      }
    }
  }
}
