public import Collectives
import DataLoading
import Foundation
public import Generator

/// Draws images from a trained generator, with all ranks together. Collective throughout.
///
/// An image is a function of the seed, its class and its number within the class alone: neither the number of ranks nor
/// the other images asked for change it.
public struct GeneratorSampling {
  /// What to draw.
  public struct Options: Sendable {
    /// The generator: a run directory or a checkpoint.
    public var checkpoint: String
    /// The tokenizer: a run directory, a checkpoint or a weight file; nil for the one that made the codes, where it was.
    public var tokenizer: String?
    /// Class names, titles or indices separated by commas, or `all`.
    public var classes: String
    /// Images of each class.
    public var count = 1
    /// Filters, guidance, seed.
    public var sampling = SamplingOptions()
    /// Tokens of an image; nil for the tokenizer's default.
    public var keepCount: Int?
    /// The order that the user thinks the generator has.
    public var order: GeneratorConfig.Order?
    /// A file of class titles, see `ClassNames.readTitles`.
    public var names: String?
    /// Where the images go; the ending decides how, see `SampleOutput`.
    public var output: String
    /// Images that a rank draws at a time.
    public var batchSize = 16
    /// Threads of a rank; nil: its share of the cores.
    public var threads: Int?

    /// One image of each of `classes`.
    public init(checkpoint: String, classes: String, output: String) {
      self.checkpoint = checkpoint
      self.classes = classes
      self.output = output
    }
  }

  private let communicator: any Communicator
  private let options: Options
  private let generator: TrainedGenerator
  private let drawing: SampleDrawing
  private let output: SampleOutput
  /// Every image to draw.
  private let samples: [SampleDrawing.Sample]

  /// Loads generator and tokenizer and checks everything before any work.
  /// - Throws: `PeerFailure` with what is wrong.
  public init(_ options: Options, communicator: any Communicator) throws {
    self.communicator = communicator
    self.options = options
    try RankThreads.configure(options.threads, communicator: communicator)
    (generator, drawing, samples) = try communicator.collectively("preparing to sample") {
      let generator = try TrainedGenerator(checkpoint: options.checkpoint)
      let sampling = try Self.sampling(options, generator: generator)
      let samples = try Self.samples(options, generator: generator)
      let pictures = try CodePictures(
        tokenizer: options.tokenizer, trainedWith: generator.recipe.tokenizer, of: generator.codes,
        order: generator.recipe.model.order, option: "--tokenizer")
      return (generator, SampleDrawing(codes: generator.codes, pictures: pictures, options: sampling), samples)
    }
    let resolution = drawing.pictures.tokenizer.recipe.model.resolution
    output = try communicator.collectively("opening the output") { [communicator, samples, generator, drawing] in
      try SampleOutput(
        path: options.output, count: samples.count, resolution: resolution, columns: options.count,
        title: generator.title,
        origin: { try SampleOrigin(generator, options: options, sampling: drawing.options).comment },
        isWriter: communicator.isFirst)
    }
  }

  private static func sampling(_ options: Options, generator: TrainedGenerator) throws -> SamplingOptions {
    let config = generator.recipe.model
    if let order = options.order, order != config.order {
      throw ConfigError(
        origin: "--order \(order.rawValue)",
        problem: "this generator was trained in order \(config.order.rawValue); leave the option out")
    }
    var sampling = options.sampling
    sampling.keepCount = options.keepCount ?? generator.recipe.validationKeepCount(generator.codes)
    if let (key, message) = sampling.problems(for: config).first {
      throw ConfigError(origin: "--" + optionName(key), problem: message)
    }
    return sampling
  }

  /// The option that sets a key of `SamplingOptions`.
  private static func optionName(_ key: String) -> String {
    switch key.split(separator: ".").last {
    case "guidance": "guidance"
    case "temperature": "temperature"
    case "topK": "top-k"
    case "topP": "top-p"
    case "keepCount": "keep"
    default: key
    }
  }

  private static func samples(_ options: Options, generator: TrainedGenerator) throws -> [SampleDrawing.Sample] {
    var classes = generator.codes.classes
    if let names = options.names { try classes.readTitles(from: names) }
    return try classes.indices(of: options.classes, count: generator.recipe.model.classCount).flatMap { label in
      (0..<options.count).map { SampleDrawing.Sample(label: label, number: $0, title: classes.label(of: label)) }
    }
  }

  /// Images of all classes.
  public var imageCount: Int { samples.count }

  /// Draws the images and writes them.
  /// - Parameter progress: Called on rank 0 with the share that is done, from 0 to 1, and the images done.
  /// - Throws: `PeerFailure`, `CommunicationError`.
  public func run(progress: (_ share: Double, _ images: Int) -> Void) throws {
    let perRank = min(options.batchSize, (samples.count + communicator.worldSize - 1) / communicator.worldSize)
    let perRound = perRank * communicator.worldSize
    let sampler = Generator.Sampler(generator.model)
    for start in stride(from: 0, to: samples.count, by: perRound) {
      let own = start + communicator.rank * perRank
      let range = (own..<own + perRank).clamped(to: 0..<samples.count)
      let images = try communicator.collectively("sampling images") {
        let images =
          range.isEmpty
          ? []
          : drawing.images(of: samples[range], by: sampler, config: generator.recipe.model) { share in
            guard communicator.isFirst else { return }
            let images = min(perRound, samples.count - start)
            progress((Double(start) + share * Double(images)) / Double(samples.count), start)
          }
        try output.write(own: images, of: samples[range], from: range.lowerBound)
        return images
      }
      if output.needsAllImages {
        let all = try communicator.allGather(bytes: images.flatMap(\.pixels)).flatMap(\.self)
        try communicator.collectively("writing images") { try output.write(pixels: all) }
      }
    }
    try communicator.collectively("completing \(options.output)") { try output.finish(titles: samples.map(\.title)) }
    if communicator.isFirst { progress(1, samples.count) }
  }
}
