public import Collectives
import DataLoading
import Evaluation
import Foundation
import Tensors
import Tokenizer

/// Turns images into codes, and codes into images.
public struct TokenizerEncoding {
  private let tokenizer: TrainedTokenizer
  private let inference: TokenizerInference

  /// Pictures in a grid at most; more belong into a folder.
  public static let gridLimit = 400

  /// Encodes and decodes with a trained tokenizer.
  public init(_ tokenizer: TrainedTokenizer) {
    self.tokenizer = tokenizer
    inference = TokenizerInference(tokenizer)
  }

  /// Encodes images. Collective: the ranks share them, and every rank has all codes in the end.
  ///
  /// Any number of ranks gives the same codes, bit for bit.
  /// - Parameters:
  ///   - images: Image files, folders of images, or any data set that training takes.
  ///   - keepCount: Tokens to keep of each image; nil for the recipe's default.
  ///   - communicator: The ranks that share the images.
  /// - Throws: `PeerFailure` with the `DataError` of an image that cannot be read, or a `ConfigError`.
  public func codes(
    ofImages images: [String], keepCount: Int?, on communicator: any Communicator
  ) throws -> TokenizerCodes {
    let config = tokenizer.recipe.model
    let keep = keepCount ?? config.defaultKeepCount
    let selection = try ImageSelection(paths: images, communicator: communicator)
    let own = try communicator.collectively("encoding images") {
      try tokenizer.check(keepCounts: [keep], source: .actual)
      var codes: [Int32] = []
      var groups: [Int32] = []
      let share = inference.share(
        of: selection.count, rank: communicator.rank, worldSize: communicator.worldSize)
      try inference.forEachBatch(of: selection, in: share) { _, images in
        let encoded = tokenizer.model.encode(images, keep: keep)
        codes += encoded.indices
        groups += encoded.groups
      }
      return (codes, groups)
    }
    let labels = selection.classNames.isEmpty ? [] : (0..<selection.count).map(selection.label)
    return TokenizerCodes(
      keepCount: keep, positionCount: config.positionCount, codeBits: config.codeBits,
      codes: try communicator.concatenated(own.0), groups: try communicator.concatenated(own.1), labels: labels,
      classNames: selection.classNames, names: (0..<selection.count).map(selection.name),
      tokenizer: (tokenizer.fingerprint, tokenizer.title))
  }

  /// Checks that codes are this tokenizer's, and that it can decode them as asked.
  /// - Throws: `CodeFileError` for codes of another tokenizer; `ConfigError`.
  public func check(_ codes: TokenizerCodes, named path: String, source: SourceChoice) throws {
    try tokenizer.check(keepCounts: [], source: source)
    let fingerprint = tokenizer.fingerprint
    guard codes.tokenizer.fingerprint == fingerprint else {
      throw CodeFileError(
        path: path,
        problem: "made by another tokenizer, '\(codes.tokenizer.title)' with SHA-256 "
          + "\(codes.tokenizer.fingerprint.prefix(12))…; \(tokenizer.path) has \(fingerprint.prefix(12))…")
    }
    let config = tokenizer.recipe.model
    guard codes.positionCount == config.positionCount, codes.codeBits == config.codeBits else {
      throw CodeFileError(
        path: path,
        problem: "has \(codes.positionCount) positions and codes of \(codes.codeBits) bits; this tokenizer has "
          + "\(config.positionCount) and \(config.codeBits)")
    }
  }

  /// Decodes codes one image after the other.
  /// - Precondition: `check` has passed.
  private func forEachImage(
    of codes: TokenizerCodes, source: SourceChoice, _ body: (_ index: Int, _ image: PixelImage) throws -> Void
  ) throws {
    let bits = codes.codeBits
    for index in 0..<codes.imageCount {
      let indices = Array(codes.codes[index * codes.keepCount..<(index + 1) * codes.keepCount])
      let encoded = TokenizerModel.Encoded(
        quantized: codeVectors(indices, bits: bits).reshaped([1, codes.keepCount, bits]), indices: indices,
        groups: Array(codes.groups[index * codes.positionCount..<(index + 1) * codes.positionCount]))
      try body(index, PixelImage(withoutGradient { tokenizer.model.decode(encoded, source: source) }))
    }
  }

  /// Decodes codes into one picture, a grid of all images with their names.
  /// - Throws: `ConfigError` for too many images; `DataError` if the picture cannot be written.
  public func writeGrid(of codes: TokenizerCodes, source: SourceChoice, to output: NewOutput) throws {
    guard codes.imageCount <= Self.gridLimit else {
      throw ConfigError(
        origin: output.path,
        problem: "one picture of \(codes.imageCount) images is too large; name a folder instead of a .png file")
    }
    var images: [PixelImage] = []
    try forEachImage(of: codes, source: source) { images.append($1) }
    let labels = codes.names.indices.map { index in
      codes.labels.isEmpty
        ? (codes.names[index] as NSString).lastPathComponent : codes.classNames[Int(codes.labels[index])]
    }
    try LabelledGrid(
      title: "\(tokenizer.title): decoded from \(codes.keepCount) codes, source \(source.rawValue)", images: images,
      labels: labels
    ).image().writePNG(to: output.path)
  }

  /// Decodes codes into a new folder, a PNG file an image.
  /// - Throws: `RunDirectoryError` or `DataError` if something cannot be written.
  public func writeFolder(of codes: TokenizerCodes, source: SourceChoice, to output: NewOutput) throws {
    try RunDirectory(path: output.path).create()
    let digits = String(codes.imageCount).count
    try forEachImage(of: codes, source: source) { index, image in
      let stem = ((codes.names[index] as NSString).lastPathComponent as NSString).deletingPathExtension
      let number = String(repeating: "0", count: digits - String(index).count) + String(index)
      let safe = String(stem.map { $0 == ":" || $0 == "!" || $0.isWhitespace ? "-" : $0 })
      try image.writePNG(to: "\(output.path)/\(number)-\(safe).png")
    }
  }
}

extension Communicator {
  /// The values of all ranks, one after the other. Collective.
  func concatenated<Element: BitwiseCopyable>(_ values: [Element]) throws -> [Element] {
    let bytes = values.withUnsafeBytes { Array($0) }
    return try allGather(bytes: bytes).flatMap { bytes in
      let count = bytes.count / MemoryLayout<Element>.stride
      return [Element](unsafeUninitializedCapacity: count) { buffer, filled in
        UnsafeMutableRawBufferPointer(buffer).copyBytes(from: bytes)
        filled = count
      }
    }
  }
}
