import Checkpointing
import Evaluation
import Foundation
import Layers
import Tensors
import Tokenizer

/// Where the weights of a network that judges images come from: what reports say of it.
public struct JudgingNetwork: Codable, Sendable, Equatable {
  /// `inception` or `lpips`.
  public var network: String
  /// The weight files; empty for a stand-in.
  public var paths: [String]
  /// Their SHA-256.
  public var sha256: [String]
  /// SHA-256 of the weights themselves, whatever files they came from.
  public var weights: String
  /// Whether these are the published weights, as far as their hashes tell; nil where no hash is known.
  public var isPublished: Bool?
  /// Whether the weights are made up by a rule: no network was trained.
  public var isStandIn: Bool

  /// What users write instead of a file for weights by rule (`WeightsByRule`): they make every figure computable where the
  /// published weights are not at hand, and mean nothing beside figures of these.
  public static let standIn = "stand-in"

  /// What the file name of the published Inception weights, `pt_inception-2015-12-05-6726825d.pth`, says of its hash.
  private static let publishedInceptionHash = "6726825d"

  /// Sets the weights of a network: imported, as published, or those of the stand-in.
  /// - Parameter paths: Weight files, or `stand-in` alone.
  /// - Throws: `UnfitWeights`, `CheckpointError`.
  init(loading network: PublishedNetwork, from paths: [String], into module: some Module) throws {
    self.network = network.rawValue
    isStandIn = paths == [Self.standIn]
    if isStandIn {
      module.setWeights(by: WeightsByRule())
      (self.paths, sha256, isPublished) = ([], [], false)
    } else {
      let files = try paths.map { try WeightFile.open($0) }
      let weights = WeightImport(files, names: .named(network, names: Set(files.flatMap { $0.names })))
      try weights.loadCompletely(into: module, files: files)
      self.paths = paths
      sha256 = try paths.map { try Checkpointing.sha256(ofFile: $0) }
      // An import remembers the hashes of what it read.
      let origins = files.flatMap { file in
        (file.metadata[WeightFileKey.source] ?? "").split(separator: "\n").compactMap {
          $0.split(separator: " ").last.map(String.init)
        }
      }
      isPublished =
        network == .inception
        ? (sha256 + origins).contains { $0.hasPrefix(Self.publishedInceptionHash) } : nil
    }
    weights = ContentHash.ofParameters(module)
  }

  /// What must be known to read figures that use it; nil for published weights.
  var note: String? {
    if isStandIn {
      return "STAND-IN: \(network)'s weights are made up by a rule, nothing was learned; figures that use it compare "
        + "with nothing but figures of the same stand-in"
    }
    guard isPublished == false else { return nil }
    return "\(paths.joined(separator: ", ")) does not hold the published \(network) weights: figures that use it "
      + "compare with nothing but figures of the same file"
  }

  /// Inception with its weights.
  static func inception(_ path: String) throws -> (InceptionNetwork, JudgingNetwork) {
    var random = SplitMix64(seed: 0)
    let network = InceptionNetwork(using: &random)
    return (network, try JudgingNetwork(loading: .inception, from: [path], into: network))
  }

  /// LPIPS with its weights.
  static func perceptual(_ paths: [String]) throws -> (PerceptualLoss, JudgingNetwork) {
    var random = SplitMix64(seed: 0)
    let network = PerceptualLoss(using: &random)
    return (network, try JudgingNetwork(loading: .lpips, from: paths, into: network))
  }
}
