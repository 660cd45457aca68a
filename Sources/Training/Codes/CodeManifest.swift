import Checkpointing
public import DataLoading
import Foundation

/// What a folder of codes says about itself, in `manifest.json`.
///
/// Beside it lie shards `codes-00000.safetensors` and so on, each with the codes of consecutive images. For n images, V
/// views of each and every keep count K: `labels` and `images` (the index in the data set) are `[n]`, `codes-K` is
/// `[n, V, K]`, and `groups-K` is `[n, V, L]`: which of the K tokens each of the L positions belongs to.
public struct CodeManifest: Codable, Sendable, Equatable {
  /// The format that this program writes and reads.
  public static let currentFormatVersion = 1
  static let fileName = "manifest.json"
  /// Stands in place of the manifest while a folder is being written.
  static let contentFileName = "encoding.json"

  /// Everything that decides the codes of a folder.
  public struct Content: Codable, Sendable, Equatable {
    /// The version of the folder's layout.
    public var formatVersion = CodeManifest.currentFormatVersion
    /// The tokenizer that made the codes.
    public var tokenizer: TokenizerIdentity
    /// Code bits d: codes are below 2^d.
    public var codeBits: Int
    /// Positions per side.
    public var gridSize: Int
    /// Every image was encoded at each of these numbers of tokens, ascending.
    public var keepCounts: [Int]
    /// The one of them that is used where nobody says otherwise.
    public var defaultKeepCount: Int
    /// The views that were encoded of every image, the plain middle first.
    public var views: [FixedView]
    /// What the shorter side of every image was scaled to, in pixels.
    public var shorterSide: Int
    /// Where the images came from.
    public var source: String
    /// How many images there were.
    public var imageCount: Int
    /// The classes of the data set.
    public var classes: ClassNames
    /// Images of a shard; the last one may have fewer, and so has one with images that could not be used.
    public var imagesPerShard: Int

    /// Positions of an image.
    public var positionCount: Int { gridSize * gridSize }
    /// How many shards there are.
    var shardCount: Int { (imageCount + imagesPerShard - 1) / imagesPerShard }
    /// The images of a shard.
    func images(ofShard shard: Int) -> Range<Int> {
      shard * imagesPerShard..<min((shard + 1) * imagesPerShard, imageCount)
    }
    /// The file of a shard.
    static func name(ofShard shard: Int) -> String {
      let digits = String(shard)
      return "codes-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }
    /// One byte suffices for the numbers of up to 256 tokens.
    func groupType(keep: Int) -> ElementType { keep <= 256 ? .uint8 : .int16 }
  }

  /// A file of codes.
  public struct Shard: Codable, Sendable, Equatable {
    /// The file's name.
    public let name: String
    /// How many images it holds.
    public let imageCount: Int
    /// The file's length in bytes.
    public let byteCount: Int
    /// The file's SHA-256 in lower-case hexadecimal.
    public let sha256: String
  }

  /// What decides the codes.
  public var content: Content
  /// Every file.
  public var shards: [Shard]

  /// Images with codes: those that could not be read have none.
  public var encodedImageCount: Int { shards.reduce(0) { $0 + $1.imageCount } }

  /// Reads the manifest of a folder.
  /// - Throws: `CodeFileError` if there is none, or it is of another format or makes no sense.
  static func read(from directory: String) throws -> CodeManifest {
    let path = directory + "/" + fileName
    let manifest = try decoded(CodeManifest.self, path: path) {
      FileManager.default.fileExists(atPath: directory + "/" + contentFileName)
        ? "the codes are not complete; run the same 'generator encode' again to go on with them"
        : "there are no codes here; 'generator encode' makes them"
    }
    guard manifest.content.formatVersion == currentFormatVersion else {
      throw CodeFileError(
        path: path,
        problem: "is of format \(manifest.content.formatVersion); this program reads format \(currentFormatVersion)")
    }
    let content = manifest.content
    guard
      (1...20).contains(content.codeBits), (1...128).contains(content.gridSize), content.imagesPerShard > 0,
      content.imageCount >= 0, !content.views.isEmpty, !content.keepCounts.isEmpty,
      content.keepCounts.allSatisfy({ (1...content.positionCount).contains($0) }),
      content.keepCounts.contains(content.defaultKeepCount), manifest.shards.count == content.shardCount,
      manifest.shards.indices.allSatisfy({ manifest.shards[$0].name == Content.name(ofShard: $0) }),
      content.classes.titles.isEmpty || content.classes.titles.count == content.classes.names.count
    else { throw CodeFileError(path: path, problem: "makes no sense; encode the images again") }
    return manifest
  }

  /// Reads a JSON file; `missing` says what it means that there is none.
  static func decoded<Value: Decodable>(
    _ type: Value.Type, path: String, missing: () -> String
  ) throws -> Value {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CodeFileError(path: path, problem: missing())
    }
    do {
      return try JSONDecoder().decode(type, from: data)
    } catch {
      throw CodeFileError(path: path, problem: "is damaged (\(error)); encode the images again")
    }
  }

  /// Replaces a JSON file at once.
  static func write(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try replaceFile(path, with: Array(encoder.encode(value)) + [UInt8(ascii: "\n")])
  }
}

/// Which tokenizer something belongs to.
public struct TokenizerIdentity: Codable, Sendable, Equatable {
  /// SHA-256 of its weights, see `CheckpointReader.contentHash`.
  public var sha256: String
  /// The name in its recipe.
  public var name: String
  /// The optimizer steps of its training.
  public var step: Int
  /// Where it was read from.
  public var checkpoint: String

  /// `tokenizer-small64, step 20000 (3f2a…)`.
  var text: String { "\(name), step \(step) (\(sha256.prefix(12))…)" }

  /// Two tokenizers are the same if their weights are, wherever they lie.
  public static func == (first: TokenizerIdentity, second: TokenizerIdentity) -> Bool {
    first.sha256 == second.sha256
  }
}
