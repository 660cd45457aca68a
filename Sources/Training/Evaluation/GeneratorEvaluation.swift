import Checkpointing
public import Collectives
import DataLoading
public import Evaluation
import Foundation

/// How good generated images are: gFID, sFID, Inception Score, precision and recall against a reference.
///
/// The ranks share the images, and any number of ranks gives the same figures, bit for bit.
public struct GeneratorEvaluation {
  /// What is to be measured.
  public struct Options: Sendable {
    /// Generated images: an `.npz` file, folders of images, or any data set.
    public var samples: [String]
    /// A file of statistics, or real images.
    public var reference: [String]
    /// How images are judged.
    public var convention = EvaluationProtocol.adm
    /// Weights of the Inception network, or `stand-in`.
    public var inception: String
    /// Whether precision and recall are computed, for which every rank holds the features of all images.
    public var wantsPrecisionAndRecall = false
    /// What the reference's images are called; nil where the file or the paths tell it, or nobody knows.
    public var referenceSplit: String?
    /// Judges that many samples, and reference images, at most, evenly spread.
    public var sampleLimit: Int?, referenceLimit: Int?
    /// Compares even where the figure is none that others publish.
    public var isForced = false

    /// gFID and Inception Score by the ADM suite's protocol.
    public init(samples: [String], reference: [String], inception: String) {
      self.samples = samples
      self.reference = reference
      self.inception = inception
    }
  }

  private let options: Options
  private let network: InceptionNetwork
  private let judge: JudgingNetwork

  /// Loads the network.
  /// - Throws: `CheckpointError` or `UnfitWeights` for weights that cannot be used.
  public init(_ options: Options) throws {
    self.options = options
    (network, judge) = try JudgingNetwork.inception(options.inception)
  }

  /// Evaluates. Collective.
  /// - Parameters:
  ///   - communicator: The ranks that share the images.
  ///   - progress: Called on rank 0 with what is being judged and the batches that are done of its share.
  /// - Throws: `PeerFailure` or `ConfigError` for a reference that does not go with the samples, and for images that cannot
  ///   be read.
  public func report(
    on communicator: any Communicator, progress: (_ what: String, _ done: Int, _ count: Int) -> Void
  ) throws -> GeneratorReport {
    try RankThreads.configure(nil, communicator: communicator)
    let samples = try ImageSelection(paths: options.samples, communicator: communicator)
      .limited(to: options.sampleLimit)
    let (resolution, stored) = try communicator.collectively("opening samples and reference") {
      let first = try samples.image(at: 0)
      guard first.width == first.height else {
        throw ConfigError(
          origin: samples.name(of: 0), problem: "is \(first.width)×\(first.height); samples must be square")
      }
      let isStored = try options.reference.count == 1 && FeatureReference.isStatistics(options.reference[0])
      return (first.width, isStored ? try FeatureReference(path: options.reference[0]) : nil)
    }
    let split = try self.split(stored)
    if let images = stored?.provenance.images { try check(images, resolution: resolution) }
    var notes = try warnings(stored: stored, split: split)
    if samples.count != 50_000 {
      notes.append("\(samples.count) samples: published gFIDs are of 50000, and FID falls with their number")
    }

    var measurement = InceptionMeasurement(
      network: network,
      options: FeatureTotals.Options(
        convention: options.convention, keepsFeatures: options.wantsPrecisionAndRecall, wantsSpatial: true))
    let generated = try measurement.result(
      of: samples, resolution: resolution, isExact: true, on: communicator
    ) { progress("samples", $0, $1) }
    var reference: FeatureReference
    if let stored {
      reference = stored
      if options.wantsPrecisionAndRecall && reference.features.isEmpty {
        measurement.options.wantsSpatial = false
        reference.features = try features(ofImagesIn: options.reference[0], measurement, on: communicator) {
          progress("reference", $0, $1)
        }
      }
    } else {
      let images = try ImageSelection(paths: options.reference, communicator: communicator)
        .limited(to: options.referenceLimit)
      reference = try FeatureReference(
        images: images, paths: options.reference, resolution: resolution, split: split?.name,
        measurement: measurement, judge: judge, on: communicator
      ) { progress("reference", $0, $1) }
    }
    reference.provenance.split = split?.name
    let isFirst = communicator.isFirst
    let figures = try communicator.collectively("computing distances") {
      // The others would compute the same once more.
      isFirst ? try Self.figures(of: generated, against: reference, options: options) : nil
    }
    return GeneratorReport(
      protocolName: options.convention,
      samples: GeneratorReport.Samples(
        paths: options.samples, count: generated.imageCount, pixels: generated.pixels,
        view: "\(resolution) × \(resolution), as they are", origin: try origin(on: communicator)),
      reference: reference.provenance, networks: [judge], notes: judge.note.map { [$0] + notes } ?? notes,
      figures: figures ?? GeneratorReport.Figures())
  }

  /// What the reference's images are called.
  private func split(_ stored: FeatureReference?) throws(ConfigError) -> SplitName? {
    if let recorded = stored?.provenance.images?.split, let said = options.referenceSplit, recorded != said {
      throw ConfigError(
        origin: "--reference-split \(said)", problem: "contradicts \(options.reference[0]), which is of '\(recorded)'")
    }
    return options.referenceSplit.map { SplitName($0) } ?? stored?.provenance.split.map { SplitName($0) }
      ?? SplitName(paths: options.reference)
  }

  /// Refuses statistics of another protocol, other weights or another size: no flag makes these comparable.
  private func check(_ images: FeatureReference.Images, resolution: Int) throws(ConfigError) {
    func refuse(_ problem: String) -> ConfigError {
      ConfigError(origin: options.reference[0], problem: problem)
    }
    guard images.convention == options.convention else {
      throw refuse(
        "was computed by protocol \(images.convention.rawValue), the samples are to be judged by "
          + "\(options.convention.rawValue): add --protocol \(images.convention.rawValue), or compute it anew")
    }
    guard images.network.weights == judge.weights else {
      throw refuse(
        "was computed with other Inception weights (\(images.network.weights.prefix(12))…) than these "
          + "(\(judge.weights.prefix(12))…); name the same, or compute it anew with 'mergevq data reference'")
    }
    guard images.view == ViewOptions(resolution: resolution).cropRule else {
      throw refuse("is of images of '\(images.view)', the samples have \(resolution)×\(resolution) pixels")
    }
  }

  /// What makes the figures others than those that are published: refused unless forced, noted where it is.
  private func warnings(stored: FeatureReference?, split: SplitName?) throws(ConfigError) -> [String] {
    var warnings: [String] = []
    if let split, split.isHeldOut {
      warnings.append(
        "the reference is of '\(split.name)': gFID is published against training images, and against others it is "
          + "another figure")
    }
    if let stored, stored.provenance.images == nil, judge.isPublished != true {
      warnings.append(
        "the reference does not say which weights it was computed with, and \(options.inception) does not hold the "
          + "published ones: the two may have nothing to do with each other")
    }
    guard warnings.isEmpty || options.isForced else {
      throw ConfigError(
        origin: options.reference.joined(separator: ", "),
        problem: warnings.joined(separator: "; ") + "; --force compares all the same, and says so in the report")
    }
    return warnings.map { "FORCED: \($0)" }
      + (stored != nil && stored?.provenance.images == nil
        ? ["the reference does not say by which protocol it was computed; \(options.convention.rawValue) is assumed"]
        : [])
  }

  /// Features of the images that an ADM reference has beside its statistics. Collective.
  private func features(
    ofImagesIn path: String, _ measurement: InceptionMeasurement, on communicator: any Communicator,
    progress: (Int, Int) -> Void
  ) throws -> [Float] {
    let images = try communicator.collectively("opening the reference's images") {
      guard try FeatureReference.hasImages(path) else {
        throw ConfigError(
          origin: path,
          problem: "holds neither features nor images, which precision and recall need; leave --precision-recall out, "
            + "or name the images themselves")
      }
      return ImageSelection(try NumPyImages(path: path)).limited(to: options.referenceLimit)
    }
    let resolution = try communicator.collectively("looking at the reference") { try images.image(at: 0).width }
    return try measurement.result(
      of: images, resolution: resolution, isExact: true, on: communicator, progress: progress
    ).totals.features
  }

  private static func figures(
    of generated: InceptionMeasurement.Result, against reference: FeatureReference, options: Options
  ) throws -> GeneratorReport.Figures {
    var figures = GeneratorReport.Figures()
    let totals = generated.totals
    guard let own = totals.gaussian else {
      throw ConfigError(
        origin: options.samples.joined(separator: ", "),
        problem: "has \(generated.imageCount) images with finite features; a distance needs two at least")
    }
    figures.frechetDistance = frechetDistance(own, reference.gaussian)
    if let own = totals.spatialGaussian, let other = reference.spatialGaussian {
      figures.spatialFrechetDistance = frechetDistance(own, other)
    }
    let referenceCount = reference.provenance.images?.count ?? .max
    figures.isRankDeficient = min(generated.imageCount, referenceCount) <= InceptionNetwork.featureCount
    (figures.inceptionScore, figures.inceptionScoreDeviation) = totals.inceptionScore
    if options.wantsPrecisionAndRecall {
      let count = min(totals.features.count, reference.features.count) / InceptionNetwork.featureCount
      guard count > PrecisionRecall.defaultNeighbours else {
        throw ConfigError(
          origin: "--precision-recall",
          problem: "needs more than \(PrecisionRecall.defaultNeighbours) images on either side, has \(count)")
      }
      let pair = PrecisionRecall(
        reference: reference.features, candidates: totals.features, dimensionCount: InceptionNetwork.featureCount)
      (figures.precision, figures.recall) = (pair.precision, pair.recall)
    }
    return figures
  }

  /// What a file of samples says of the generator that drew them. Collective.
  private func origin(on communicator: any Communicator) throws -> SampleOrigin? {
    let isFirst = communicator.isFirst
    return try communicator.collectively("reading where samples come from") {
      guard isFirst, options.samples.count == 1, options.samples[0].hasSuffix(".npz") else { return nil }
      return SampleOrigin(comment: try NumPyArchive(path: options.samples[0]).metadata["comment"])
    }
  }
}
