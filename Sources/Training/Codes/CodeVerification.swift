import Evaluation
import Foundation

/// Checks a folder of codes and draws some of it.
public struct CodeVerification {
  /// Images drawn at most.
  public static let imageLimit = 40

  private let dataset: CodeDataset
  private let pictures: CodePictures
  private let keepCount: Int

  /// Reads everything.
  /// - Parameters:
  ///   - codes: The folder.
  ///   - tokenizer: The tokenizer that made them.
  ///   - keepCount: Which of the keep counts to draw; nil for the default.
  /// - Throws: `CodeFileError` if codes are damaged or another tokenizer's; `ConfigError` for a keep count that is not there.
  public init(codes: String, tokenizer: String, keepCount: Int?) throws {
    dataset = try CodeDataset(directory: codes)
    self.keepCount = keepCount ?? dataset.content.defaultKeepCount
    guard dataset.content.keepCounts.contains(self.keepCount) else {
      throw ConfigError(
        origin: "--keep \(self.keepCount)", problem: "the codes were made at \(dataset.content.keepCounts)")
    }
    pictures = CodePictures(tokenizer: try TrainedTokenizer(path: tokenizer))
    try dataset.require(tokenizer: pictures.tokenizer.identity)
    try dataset.verify()
  }

  /// Writes the picture.
  /// - Returns: What the folder holds, in words.
  /// - Throws: `ConfigError` if there is something at `path`; `DataError` if it cannot be written.
  public func write(to path: String) throws -> String {
    _ = try NewOutput(path)
    let count = min(Self.imageLimit, dataset.count)
    // One more than an even spread, so that a cycle of classes does not show the same few again and again.
    let chosen = (0..<count).map { ($0 * (dataset.count / count) + $0) % dataset.count }
    let batch = try dataset.batch(
      images: chosen, views: chosen.map { $0 % dataset.content.views.count }, keep: keepCount, firstGlobalIndex: 0)
    let length = dataset.content.positionCount
    let images = (0..<count).map { image in
      pictures.picture(
        codes: Array(batch.codes[image * keepCount..<(image + 1) * keepCount]),
        groups: Array(batch.groups[image * length..<(image + 1) * length]))
    }
    let content = dataset.content
    let title = "\(content.tokenizer.name): \(keepCount) of \(length) tokens, \(content.codeBits) bits each"
    try LabelledGrid(title: title, images: images, labels: batch.labels.map { content.classes.label(of: Int($0)) })
      .image().writePNG(to: path)
    return dataset.manifest.text
  }
}

extension CodeManifest {
  /// What the folder holds, in one line.
  public var text: String {
    let unusable = content.imageCount - encodedImageCount
    return "\(encodedImageCount) images in \(content.views.count) views at \(content.keepCounts) of "
      + "\(content.positionCount) tokens, \(content.codeBits) bits each, \(content.classes.names.count) classes, "
      + "\(shards.count) files, by \(content.tokenizer.text)"
      + (unusable > 0 ? "; \(unusable) images could not be used" : "")
  }
}
