import Checkpointing
public import Collectives
import DataLoading
public import Evaluation
import Foundation

/// What generated images are compared with: statistics of the features of real ones, and what is known of these.
///
/// Files are `.npz` archives with `mu` and `sigma`, and where there are spatial features `mu_s` and `sigma_s`: what
/// `pytorch-fid` and the ADM suite read and write. Those that this program wrote say in their comment what they are of.
public struct FeatureReference: Sendable {
  /// What is known of the images.
  public struct Provenance: Codable, Sendable, Equatable {
    /// The statistics' file, where there is one.
    public var file: String?
    /// Its SHA-256.
    public var fileSHA256: String?
    /// What the images are, where they were at hand or the file says it.
    public var images: Images?
    /// What the images are called, such as `train`; nil where nothing tells it.
    public var split: String?
  }

  /// Images that statistics were computed from.
  public struct Images: Codable, Sendable, Equatable {
    /// An `EvaluationProtocol`.
    var convention: EvaluationProtocol
    /// Data sets.
    var paths: [String]
    /// What they are called, such as `train`.
    var split: String?
    /// How they were resized and cropped.
    var view: String
    var count: Int
    /// SHA-256 of the images as they were seen.
    var pixels: String
    /// The judge.
    var network: JudgingNetwork

    enum CodingKeys: String, CodingKey {
      case convention = "protocol"
      case paths, split, view, count, pixels, network
    }
  }

  /// What is known of the images.
  public var provenance: Provenance
  let gaussian: GaussianStatistics
  let spatialGaussian: GaussianStatistics?
  /// Features of the images, for precision and recall; empty where they are not known.
  var features: [Float]

  private static let (means, covariances) = (["mu", "mu_s"], ["sigma", "sigma_s"])
  private static let featuresName = "pool_features"

  /// Computes statistics. Collective.
  /// - Parameters:
  ///   - images: Any images.
  ///   - resolution: Height and width that images are judged at, in pixels.
  ///   - split: What the user calls them; the paths may tell it otherwise.
  ///   - convention: Decides how images are resized and which features count.
  ///   - inception: Weights of the Inception network, or `stand-in`.
  ///   - keepsFeatures: Whether precision and recall shall be possible.
  ///   - limit: Takes that many images at most, evenly spread.
  ///   - communicator: The ranks that share the images.
  ///   - progress: Called on rank 0 with the images that are done of its share.
  public static func computed(
    ofImages images: [String], resolution: Int, split: String?, convention: EvaluationProtocol, inception: String,
    keepsFeatures: Bool, limit: Int?, on communicator: any Communicator,
    progress: (_ done: Int, _ count: Int) -> Void
  ) throws -> FeatureReference {
    try RankThreads.configure(nil, communicator: communicator)
    let (network, judge) = try communicator.collectively("opening the weights") {
      try JudgingNetwork.inception(inception)
    }
    let measurement = InceptionMeasurement(
      network: network,
      options: FeatureTotals.Options(convention: convention, keepsFeatures: keepsFeatures, wantsSpatial: true))
    return try FeatureReference(
      images: ImageSelection(paths: images, communicator: communicator).limited(to: limit), paths: images,
      resolution: resolution, split: split, measurement: measurement, judge: judge, on: communicator,
      progress: progress)
  }

  /// Computes statistics with a network that is there already. Collective.
  init(
    images: ImageSelection, paths: [String], resolution: Int, split: String?, measurement: InceptionMeasurement,
    judge: JudgingNetwork, on communicator: any Communicator, progress: (_ done: Int, _ count: Int) -> Void
  ) throws {
    let result = try measurement.result(
      of: images, resolution: resolution, isExact: false, on: communicator, progress: progress)
    guard let gaussian = result.totals.gaussian else {
      throw ConfigError(
        origin: paths.joined(separator: ", "),
        problem: "has \(result.imageCount) images with finite features; statistics need two at least")
    }
    let split = split ?? SplitName(paths: paths)?.name
    provenance = Provenance(
      images: Images(
        convention: measurement.options.convention, paths: paths, split: split,
        view: ViewOptions(resolution: resolution).cropRule, count: result.imageCount, pixels: result.pixels,
        network: judge), split: split)
    self.gaussian = gaussian
    spatialGaussian = result.totals.spatialGaussian
    features = result.totals.features
  }

  /// Whether a file holds statistics, as opposed to images.
  static func isStatistics(_ path: String) throws -> Bool {
    guard path.hasSuffix(".npz") else { return false }
    return try NumPyArchive(path: path).description(of: means[0]) != nil
  }

  /// Reads statistics.
  /// - Throws: `CheckpointError` for files that cannot be read or hold other statistics.
  public init(path: String) throws {
    let archive = try NumPyArchive(path: path)
    guard let own = try Self.statistics(0, InceptionNetwork.featureCount, of: archive) else {
      throw CheckpointError(path: path, .missingTensor(name: Self.means[0]))
    }
    var images: Images?
    if let comment = archive.metadata["comment"] {
      do {
        images = try JSONDecoder().decode(Images.self, from: Data(comment.utf8))
      } catch {
        // Another program's comment says nothing about the images.
        images = nil
      }
    }
    (gaussian, spatialGaussian) = (own, try Self.statistics(1, InceptionNetwork.spatialFeatureCount, of: archive))
    features = []
    if let found = archive.description(of: Self.featuresName) {
      guard found.shape.count == 2, found.shape[1] == InceptionNetwork.featureCount else {
        throw CheckpointError(
          path: path,
          .shapeMismatch(
            key: Self.featuresName, expected: [images?.count ?? 0, InceptionNetwork.featureCount], found: found.shape))
      }
      features = try archive.floats(Self.featuresName)
    }
    provenance = Provenance(
      file: path, fileSHA256: try sha256(ofFile: path), images: images,
      split: images?.split ?? SplitName(paths: [path])?.name)
  }

  private static func statistics(
    _ kind: Int, _ dimensions: Int, of archive: NumPyArchive
  ) throws(CheckpointError) -> GaussianStatistics? {
    let (mean, covariance) = (means[kind], covariances[kind])
    guard archive.description(of: mean) != nil else { return nil }
    for (name, shape) in [(mean, [dimensions]), (covariance, [dimensions, dimensions])] {
      let found = try archive.shape(of: name)
      guard found == shape else {
        throw CheckpointError(path: archive.path, .shapeMismatch(key: name, expected: shape, found: found))
      }
    }
    let (mu, sigma) = (try archive.doubles(mean), try archive.doubles(covariance))
    guard mu.allSatisfy(\.isFinite), sigma.allSatisfy(\.isFinite), isSymmetric(sigma, count: dimensions) else {
      throw CheckpointError(
        path: archive.path,
        .malformed(format: "statistics", detail: "'\(covariance)' is no covariance: not finite, or not symmetric"))
    }
    // How many images there were the arrays do not tell.
    return GaussianStatistics(count: Int.max, mean: mu, covariance: sigma)
  }

  private static func isSymmetric(_ matrix: [Double], count: Int) -> Bool {
    let limit = 1e-6 * (matrix.lazy.map(abs).max() ?? 0)
    return (0..<count).allSatisfy { row in
      (0..<row).allSatisfy { abs(matrix[row * count + $0] - matrix[$0 * count + row]) <= limit }
    }
  }

  /// Writes the statistics.
  /// - Throws: `CheckpointError` if they cannot be written.
  public func write(to output: NewOutput) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let comment = String(decoding: try encoder.encode(provenance.images), as: UTF8.self)
    guard comment.utf8.count <= NumPyArchiveWriter.longestComment else {
      throw ConfigError(
        origin: output.path, problem: "cannot name so many images; name their folder or archive instead of each of them"
      )
    }
    let writer = try NumPyArchiveWriter(path: output.path, comment: comment)
    for (kind, statistics) in [gaussian, spatialGaussian].enumerated() {
      guard let statistics else { continue }
      let dimensions = statistics.mean.count
      try writer.begin(Self.means[kind], elementType: .float64, shape: [dimensions])
      try writer.append(numbers: statistics.mean)
      try writer.begin(Self.covariances[kind], elementType: .float64, shape: [dimensions, dimensions])
      try writer.append(numbers: statistics.covariance)
    }
    if !features.isEmpty {
      let dimensions = InceptionNetwork.featureCount
      try writer.begin(Self.featuresName, elementType: .float32, shape: [features.count / dimensions, dimensions])
      try writer.append(numbers: features)
    }
    try writer.finish()
  }

  /// The images of an ADM reference beside its statistics: what precision and recall are computed from.
  static func hasImages(_ path: String) throws -> Bool {
    try NumPyArchive(path: path).description(of: NumPyImages.arrayName) != nil
  }
}

/// The part of a data set that images belong to, as far as names tell.
public struct SplitName: Sendable, Equatable {
  /// `train`, `val`, `test` and the like.
  public let name: String

  /// What somebody calls it.
  public init(_ name: String) { self.name = name }

  /// What the names of images and of their folder say: the last word that is a split's; validation if one of several
  /// paths is.
  init?(paths: [String]) {
    let found = paths.compactMap { path in
      path.lowercased().split(separator: "/").suffix(2).joined(separator: "/").split { !$0.isLetter }.last { word in
        ["train", "training", "val", "valid", "validation", "test"].contains(word)
      }
    }.map { SplitName(String($0)) }
    guard let name = found.first(where: \.isHeldOut) ?? found.first else { return nil }
    self = name
  }

  /// Whether generators must not be compared with it: the published figures compare with training images, and the
  /// figures differ.
  public var isHeldOut: Bool {
    let name = name.lowercased()
    return name.hasPrefix("val") || name.hasPrefix("test")
  }
}
