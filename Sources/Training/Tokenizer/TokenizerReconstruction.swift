import Checkpointing
import DataLoading
import Foundation
import Tensors
import Tokenizer

/// Draws what a trained tokenizer makes of images: original | reconstruction | merge map, one image a row.
public struct TokenizerReconstruction {
  /// Images drawn of each path at most, evenly spread over what it holds.
  public static let imageLimit = 16

  private let model: TokenizerModel
  private let pictures: TokenizerPictures
  private let keepCount: Int
  private let title: String

  /// Loads the averaged weights of a checkpoint.
  /// - Parameters:
  ///   - path: A checkpoint, or a run directory, of which the newest good one counts.
  ///   - keepCount: Tokens to keep of each image; nil for the recipe's default.
  /// - Throws: `CheckpointError` if it is damaged, `ConfigError` if there is none or `keepCount` cannot be reached.
  public init(checkpoint path: String, keepCount: Int? = nil) throws {
    let checkpoint = try CheckpointReader(directory: locateCheckpoint(path))
    try checkpoint.verify()
    let recipe = try TokenizerRecipe.resolve(
      yaml: checkpoint.manifest.recipe, named: "the recipe in \(checkpoint.directory)")
    let config = recipe.model
    self.keepCount = keepCount ?? config.defaultKeepCount
    guard
      MergeSchedule.isReachable(keep: self.keepCount, of: config.positionCount, blocks: config.attentionBlocks)
    else {
      throw ConfigError(
        origin: "--keep \(self.keepCount)",
        problem: "this tokenizer has \(config.positionCount) positions and cannot merge them into \(self.keepCount) "
          + "tokens in \(config.attentionBlocks) blocks; it trained with \(config.keepCounts)")
    }
    model = TokenizerModel(config, seed: recipe.run.seed)
    for (name, parameter) in ParameterArena(model.parameters, gradients: false).entries.map({ ($0.name, $0.parameter) })
    {
      try checkpoint.read(
        kind: "ema", key: name,
        into: UnsafeMutableBufferPointer(start: parameter.value.pointer, count: parameter.count))
    }
    pictures = TokenizerPictures(model: model, view: view(recipe, isTraining: false))
    title = "\(recipe.name), step \(checkpoint.manifest.step)"
  }

  /// Writes the picture.
  /// - Parameters:
  ///   - images: Image files, folders of images, or any data set that training takes.
  ///   - path: The PNG file.
  /// - Throws: `DataError` for an image that cannot be read, or if the picture cannot be written.
  public func write(images: [String], to path: String) throws {
    let chosen = try ChosenImages(paths: images, limit: Self.imageLimit)
    try pictures.reconstructions(of: chosen, at: Array(0..<chosen.count), keep: keepCount, title: title)
      .writePNG(to: path)
  }
}

/// Some images of several data sets, without their classes.
private struct ChosenImages: ImageDataset {
  private var members: [(dataset: any ImageDataset, index: Int)] = []

  init(paths: [String], limit: Int) throws(DataError) {
    for path in paths {
      let dataset = try openDataset(path)
      let count = min(limit, dataset.count)
      for position in 0..<count { members.append((dataset, position * dataset.count / count)) }
    }
  }

  var count: Int { members.count }
  var classNames: [String] { [] }
  func label(of index: Int) -> Int32 { 0 }
  func name(of index: Int) -> String { members[index].dataset.name(of: members[index].index) }
  func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    try members[index].dataset.image(at: members[index].index, decoding: options)
  }
}
