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
  private let sampling: SamplingOptions
  private let generator: TrainedGenerator
  private let pictures: CodePictures
  private let output: SampleOutput
  /// Every image to draw.
  private let samples: [Sample]

  /// One image to draw.
  struct Sample: Sendable, Equatable {
    /// Its class.
    let label: Int
    /// Its number within the class.
    let number: Int
    /// What to call its class.
    let title: String
    /// What its random numbers depend on.
    var identifier: Int { label << 32 | number }
  }

  /// Loads generator and tokenizer and checks everything before any work.
  /// - Throws: `PeerFailure` with what is wrong.
  public init(_ options: Options, communicator: any Communicator) throws {
    self.communicator = communicator
    self.options = options
    try RankThreads.configure(options.threads, communicator: communicator)
    (generator, pictures, sampling, samples) = try communicator.collectively("preparing to sample") {
      let generator = try TrainedGenerator(checkpoint: options.checkpoint)
      let sampling = try Self.sampling(options, generator: generator)
      let samples = try Self.samples(options, generator: generator)
      return (generator, try Self.pictures(options, generator: generator), sampling, samples)
    }
    let resolution = pictures.tokenizer.recipe.model.resolution
    output = try communicator.collectively("opening the output") { [communicator, samples, generator, sampling] in
      try SampleOutput(
        path: options.output, count: samples.count, resolution: resolution, columns: options.count,
        title: generator.title,
        origin: { try SampleOrigin(generator, options: options, sampling: sampling).comment },
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

  private static func samples(_ options: Options, generator: TrainedGenerator) throws -> [Sample] {
    var classes = generator.codes.classes
    if let names = options.names { try classes.readTitles(from: names) }
    return try classes.indices(of: options.classes, count: generator.recipe.model.classCount).flatMap { label in
      (0..<options.count).map { Sample(label: label, number: $0, title: classes.label(of: label)) }
    }
  }

  private static func pictures(_ options: Options, generator: TrainedGenerator) throws -> CodePictures {
    let path = options.tokenizer ?? generator.recipe.tokenizer ?? generator.codes.tokenizer.checkpoint
    let tokenizer: TrainedTokenizer
    do {
      tokenizer = try TrainedTokenizer(path: path)
    } catch let error as ConfigError where options.tokenizer == nil {
      throw ConfigError(
        origin: path,
        problem: "the tokenizer of this generator, \(generator.codes.tokenizer.text), is not there any more; "
          + "say where it is with --tokenizer (\(error.problem))")
    }
    guard tokenizer.identity == generator.codes.tokenizer else {
      throw CodeFileError(
        path: tokenizer.path,
        problem: "is \(tokenizer.identity.text), but the generator speaks the codes of "
          + "\(generator.codes.tokenizer.text); name that tokenizer with --tokenizer")
    }
    if generator.recipe.model.order == .random && tokenizer.model.recovery == nil {
      throw ConfigError(
        origin: tokenizer.path,
        problem:
          "has no source recovery ('model.recoveryWidth' is 0), so nobody can tell which positions the tokens of a "
          + "generator in random order cover; train the tokenizer with one, or a generator in order raster")
    }
    return CodePictures(tokenizer: tokenizer)
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
          : draw(sampler, samples[range]) { share in
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

  /// Draws some images of this rank.
  private func draw(
    _ sampler: Generator.Sampler, _ samples: ArraySlice<Sample>, progress: (Double) -> Void
  ) -> [PixelImage] {
    let config = generator.recipe.model
    let drawn = sampler.sample(
      classes: samples.map { Int32($0.label) }, images: samples.map(\.identifier), options: sampling,
      cells: config.order == .random ? samples.flatMap { cells(of: $0) } : nil
    ) { done, count in
      // The pictures come after the codes; they take about a tenth of the time.
      progress(0.9 * Double(done) / Double(count))
    }
    let codes = drawn.codes.codes(preBits: config.factorBits[0])
    return samples.indices.enumerated().map { position, _ in
      let range = position * drawn.tokenCount..<(position + 1) * drawn.tokenCount
      return config.order == .random
        ? pictures.picture(codes: Array(codes[range]), cells: Array(drawn.cells[range]))
        : pictures.picture(rasterCodes: Array(codes[range]))
    }
  }

  /// Where the tokens of an image lie: as often at each position as in the training images at the nearest keep count.
  private func cells(of sample: Sample) -> [Int32] {
    let keep = sampling.keepCount
    let known = generator.codes.representativeShares ?? [:]
    let nearest = known.keys.min { (abs($0 - keep), $0) < (abs($1 - keep), $1) }
    guard let shares = nearest.flatMap({ known[$0] }), shares.count == generator.recipe.model.positionCount else {
      return RandomOrder.cells(
        count: keep, of: generator.recipe.model.positionCount, seed: sampling.seed, image: sample.identifier)
    }
    return RandomOrder.cells(count: keep, shares: shares, seed: sampling.seed, image: sample.identifier)
  }
}
