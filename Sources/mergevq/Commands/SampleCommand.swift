import ArgumentParser
import Generator
import Training

/// `mergevq generator sample`.
struct SampleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample", abstract: "Draw images of classes from a generator.",
    discussion: """
      An image depends on the seed, its class and its number within the class alone, not on the number of ranks. Where \
      two numbers are possible (A,B), the first is for the first factor of a code and the second for the second; one \
      number is for both.

      Examples:
        mergevq generator sample --checkpoint runs/generator --classes all --count 8 --guidance 2 --output grid.png
        mpirun -n 4 mergevq generator sample --checkpoint runs/generator --classes "king penguin,n02504458,7" \
      --count 16 --guidance 4,2 --top-k 0,600 --top-p 0.96,1 --output images
        mpirun -n 16 mergevq generator sample --checkpoint runs/generator --classes all --count 50 --output samples.npz
      """)

  @Option(help: "The generator: a run directory (its newest good checkpoint), or one checkpoint of it.")
  var checkpoint: String

  @Option(help: "The tokenizer: a run directory, a checkpoint or a weight file; where it was when encoding otherwise.")
  var tokenizer: String?

  @Option(help: "Classes by name, title or index, separated by commas; or all.")
  var classes: String

  @Option(help: "Images of each class.", transform: positive)
  var count = 1

  @Option(
    parsing: .unconditional,
    help: "Classifier-free guidance: 1 is none, larger follows the class more, 0 ignores it.", transform: factors)
  var guidance = [Float(1)]

  @Option(parsing: .unconditional, help: "Temperature; 0 is greedy.", transform: factors)
  var temperature = [Float(1)]

  @Option(parsing: .unconditional, help: "Keep the k likeliest values; 0 keeps all.", transform: factors)
  var topK = [Float(0)]

  @Option(
    parsing: .unconditional, help: "Keep the likeliest values that make up this share, in (0, 1].", transform: factors)
  var topP = [Float(1)]

  @Option(help: "How guidance moves over an image: constant, or linear from 1 to its value.")
  var schedule = SamplingOptions.GuidanceSchedule.constant

  @Option(help: "Another seed draws other images.")
  var seed: UInt64 = 0

  @Option(help: "Tokens to keep: what the merge instruction asks for, or how many tokens a random order has.")
  var keep: Int?

  @Option(help: "Steps of parallel decoding in random order.")
  var steps = 64

  @Option(help: "The order that the generator is expected to have: plain, raster or random.")
  var order: GeneratorConfig.Order?

  @Option(help: "A text file with a line NAME<tab>TITLE, SYNONYM, … for each class, instead of what the codes say.")
  var names: String?

  @Option(help: "grid.png (a labelled sheet), samples.npz (arr_0: N×H×W×3 bytes), or a new folder for PNG files.")
  var output: String

  @Option(help: "Images that a rank draws at a time.", transform: positive)
  var batch = 16

  @Option(help: "Threads of a rank; its share of the cores otherwise.", transform: positive)
  var threads: Int?

  func run() throws {
    try runCommand { communicator in
      var options = GeneratorSampling.Options(checkpoint: checkpoint, classes: classes, output: output)
      (options.tokenizer, options.count, options.keepCount, options.order) = (tokenizer, count, keep, order)
      (options.names, options.batchSize, options.threads) = (names, batch, threads)
      options.sampling.pre = factor(0)
      options.sampling.post = factor(1)
      (options.sampling.schedule, options.sampling.seed, options.sampling.steps) = (schedule, seed, steps)
      let sampling = try GeneratorSampling(options, communicator: communicator)
      var bar = ProgressBar()
      try sampling.run { share, images in
        Console.write(bar.report(share: share, "\(images)/\(sampling.imageCount) images"))
      }
      if communicator.isFirst { Console.write(bar.finish() + "\(output)\n") }
    }
  }

  /// What applies to one factor of a code.
  private func factor(_ index: Int) -> SamplingOptions.Factor {
    func value(_ values: [Float]) -> Float { values[min(index, values.count - 1)] }
    return SamplingOptions.Factor(
      guidance: value(guidance),
      filter: TokenFilter(temperature: value(temperature), topK: Int(value(topK)), topP: value(topP)))
  }
}

extension SamplingOptions.GuidanceSchedule: ExpressibleByArgument {}
extension GeneratorConfig.Order: ExpressibleByArgument {}

/// `A` or `A,B`.
private func factors(_ argument: String) throws -> [Float] {
  let values = argument.split(separator: ",", omittingEmptySubsequences: false)
    .map { Float($0.trimmingCharacters(in: .whitespaces)) }
  guard (1...2).contains(values.count), values.allSatisfy({ $0?.isFinite == true }) else {
    throw ValidationError("'\(argument)' is not a number, or two of them as in 4,2")
  }
  return values.compactMap(\.self)
}
