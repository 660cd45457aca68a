import DataLoading
import Generator

/// Draws images from a generator: codes first, then their pictures.
struct SampleDrawing {
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

  /// What the codes are like.
  let codes: CodeProperties
  /// What turns them into pictures.
  let pictures: CodePictures
  /// Guidance, filters, seed.
  let options: SamplingOptions

  /// A drawing with that tokenizer and those options.
  init(codes: CodeProperties, pictures: CodePictures, options: SamplingOptions) {
    self.codes = codes
    self.pictures = pictures
    self.options = options
  }

  /// What validations of a training draw with, or nil where the recipe wants no pictures or the tokenizer cannot be used;
  /// that is told, for training needs the codes alone.
  static func ofValidations(
    _ recipe: GeneratorRecipe, codes: CodeProperties, say: (String) -> Void
  ) -> SampleDrawing? {
    guard recipe.run.pictures else { return nil }
    do {
      return try SampleDrawing(validationsOf: recipe, codes: codes)
    } catch {
      say("validations will show no samples: \(error)")
      return nil
    }
  }

  /// - Throws: As `CodePictures.init(tokenizer:trainedWith:of:order:option:)`.
  private init(validationsOf recipe: GeneratorRecipe, codes: CodeProperties) throws {
    var options = SamplingOptions()
    options.pre.guidance = GeneratorTask.sampleGuidance
    options.post.guidance = GeneratorTask.sampleGuidance
    options.keepCount = recipe.validationKeepCount(codes)
    let pictures = try CodePictures(
      trainedWith: recipe.tokenizer, of: codes, order: recipe.model.order, option: "--set tokenizer=PATH")
    self.init(codes: codes, pictures: pictures, options: options)
  }

  /// Takes the memory that drawing so many images at once does, without the time: the cache, then one picture.
  func rehearse(imageCount: Int, by sampler: Generator.Sampler, config: GeneratorConfig) {
    sampler.reserveCache(imageCount: imageCount, options: options)
    if config.order == .random {
      let sample = Sample(label: 0, number: 0, title: "")
      _ = pictures.picture(
        codes: [Int32](repeating: 0, count: options.keepCount),
        cells: cells(of: sample, positionCount: config.positionCount))
    } else {
      _ = pictures.picture(rasterCodes: [Int32](repeating: 0, count: config.positionCount))
    }
  }

  /// Draws some images, all at once.
  /// - Parameters:
  ///   - sampler: Of the generator, whose shape is `config`.
  ///   - progress: Called with the share that is done, from 0 to 1.
  func images(
    of samples: some RandomAccessCollection<Sample>, by sampler: Generator.Sampler, config: GeneratorConfig,
    progress: (Double) -> Void = { _ in }
  ) -> [PixelImage] {
    let drawn = sampler.sample(
      classes: samples.map { Int32($0.label) }, images: samples.map(\.identifier), options: options,
      cells: config.order == .random ? samples.flatMap { cells(of: $0, positionCount: config.positionCount) } : nil
    ) { done, count in
      // The pictures come after the codes; they take about a tenth of the time.
      progress(0.9 * Double(done) / Double(count))
    }
    let codes = drawn.codes.codes(preBits: config.factorBits[0])
    return (0..<samples.count).map { position in
      let range = position * drawn.tokenCount..<(position + 1) * drawn.tokenCount
      return config.order == .random
        ? pictures.picture(codes: Array(codes[range]), cells: Array(drawn.cells[range]))
        : pictures.picture(rasterCodes: Array(codes[range]))
    }
  }

  /// Where the tokens of an image lie: as often at each position as in the training images at the nearest keep count.
  private func cells(of sample: Sample, positionCount: Int) -> [Int32] {
    let keep = options.keepCount
    let known = codes.representativeShares ?? [:]
    let nearest = known.keys.min { (abs($0 - keep), $0) < (abs($1 - keep), $1) }
    guard let shares = nearest.flatMap({ known[$0] }), shares.count == positionCount else {
      return RandomOrder.cells(count: keep, of: positionCount, seed: options.seed, image: sample.identifier)
    }
    return RandomOrder.cells(count: keep, shares: shares, seed: options.seed, image: sample.identifier)
  }
}
