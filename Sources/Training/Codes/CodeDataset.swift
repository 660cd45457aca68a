import Checkpointing
import DataLoading
import Foundation

/// Images as codes, opened for reading: what `generator encode` made.
///
/// Shards are mapped when first needed. Not `Sendable`: each thread opens its own.
public final class CodeDataset {
  /// The folder.
  public let directory: String
  /// What it says about itself.
  public let manifest: CodeManifest
  /// What decides the codes.
  public var content: CodeManifest.Content { manifest.content }
  /// Images with codes.
  public let count: Int
  /// Bytes of all files with codes.
  var byteCount: Int { manifest.shards.reduce(0) { $0 + $1.byteCount } }
  /// The first image of every shard, and behind them `count`.
  private let starts: [Int]
  private var openShards: [Int: Safetensors] = [:]

  /// Opens a folder; its files are looked at when they are needed, or by `problems`.
  /// - Throws: `CodeFileError` if there are no codes, or a file is missing or of another length.
  public init(directory: String) throws {
    self.directory = directory
    manifest = try CodeManifest.read(from: directory)
    starts = manifest.shards.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.imageCount) }
    count = starts.last ?? 0
    for shard in manifest.shards {
      let path = directory + "/" + shard.name
      var status = stat()
      guard stat(path, &status) == 0 else {
        throw CodeFileError(path: path, problem: "is missing; encode the images again")
      }
      guard Int(status.st_size) == shard.byteCount else {
        throw CodeFileError(
          path: path,
          problem: "is \(status.st_size) bytes long, expected \(shard.byteCount); encode the images again")
      }
    }
  }

  /// The first file of a share that is not what was written, or holds codes, tokens or classes out of range.
  ///
  /// Reads every byte. Ranks share the work: with `share: rank, of: worldSize` each reads every worldSize-th file, and
  /// the codes are good if no rank throws.
  /// - Throws: `CodeFileError` naming the file.
  public func verify(share: Int = 0, of shareCount: Int = 1) throws {
    for index in manifest.shards.indices where index % shareCount == share {
      let path = directory + "/" + manifest.shards[index].name
      let found = try sha256(ofFile: path)
      guard found == manifest.shards[index].sha256 else {
        throw CodeFileError(
          path: path,
          problem: "SHA-256 is \(found), expected \(manifest.shards[index].sha256); encode the images again")
      }
      try checkRanges(shard: index)
    }
  }

  private func checkRanges(shard index: Int) throws {
    let file = try shard(index)
    func check(_ name: String, below limit: Int, _ what: String) throws {
      let values = try file.int32s(name)
      guard let wrong = values.first(where: { $0 < 0 || Int($0) >= limit }) else { return }
      throw CodeFileError(
        path: file.path,
        problem: "'\(name)' holds the \(what) \(wrong), which is not in 0..<\(limit); encode the images again")
    }
    try check("labels", below: max(content.classes.names.count, 1), "class")
    for keep in content.keepCounts {
      try check("codes-\(keep)", below: 1 << content.codeBits, "code")
      try check("groups-\(keep)", below: keep, "token")
    }
  }

  /// Refuses codes of another tokenizer.
  /// - Throws: `CodeFileError` naming both.
  func require(tokenizer: TokenizerIdentity) throws {
    guard content.tokenizer == tokenizer else {
      throw CodeFileError(
        path: directory,
        problem: "these codes were made by \(content.tokenizer.text), which is not \(tokenizer.text) in "
          + "\(tokenizer.checkpoint); name the tokenizer they belong to, or encode the images again")
    }
  }

  /// Codes of some images.
  /// - Parameters:
  ///   - images: Numbers in `0..<count`.
  ///   - views: Which view of each.
  ///   - keep: One of the keep counts.
  ///   - firstGlobalIndex: See `CodeBatch`.
  /// - Throws: `CodeFileError` or `CheckpointError` if a file is not what it should be.
  public func batch(images: [Int], views: [Int], keep: Int, firstGlobalIndex: Int) throws -> CodeBatch {
    var batch = CodeBatch(keepCount: keep, firstGlobalIndex: firstGlobalIndex)
    batch.sampleIndices = images
    for (image, view) in zip(images, views) {
      // A shard has at most so many images, so this is its shard or an earlier one.
      var index = image / content.imagesPerShard
      while starts[index + 1] <= image { index += 1 }
      let (file, row) = (try shard(index), image - starts[index])
      let place = row * content.views.count + view
      batch.labels.append(try values("labels", in: file, row..<row + 1)[0])
      batch.codes += try values("codes-\(keep)", in: file, place * keep..<(place + 1) * keep)
      let positions = content.positionCount
      batch.groups += try values("groups-\(keep)", in: file, place * positions..<(place + 1) * positions)
    }
    return batch
  }

  /// Elements of an integer tensor.
  private func values(_ name: String, in file: Safetensors, _ range: Range<Int>) throws -> [Int32] {
    guard let type = file.description(of: name)?.elementType else {
      throw CheckpointError(path: file.path, .missingTensor(name: name))
    }
    return try file.withBytes(of: name) { bytes in
      switch type {
      case .uint8: range.map { Int32(bytes[$0]) }
      case .int16: range.map { Int32(Int16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * $0, as: Int16.self))) }
      default: range.map { Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
      }
    }
  }

  private func shard(_ index: Int) throws -> Safetensors {
    if let open = openShards[index] { return open }
    let shard = try Safetensors(path: directory + "/" + manifest.shards[index].name)
    try content.checkLayout(of: shard, imageCount: manifest.shards[index].imageCount)
    openShards[index] = shard
    return shard
  }
}

extension CodeManifest.Content {
  /// Type and shape of every tensor of a shard.
  func layout(imageCount: Int) -> [String: (type: ElementType, shape: [Int])] {
    var layout: [String: (type: ElementType, shape: [Int])] = [
      "labels": (.int32, [imageCount]), "images": (.int32, [imageCount]),
    ]
    for keep in keepCounts {
      layout["codes-\(keep)"] = (.int32, [imageCount, views.count, keep])
      layout["groups-\(keep)"] = (groupType(keep: keep), [imageCount, views.count, positionCount])
    }
    return layout
  }

  /// - Throws: `CodeFileError` if a tensor is missing or of another type or shape.
  func checkLayout(of file: Safetensors, imageCount: Int) throws {
    for (name, expected) in layout(imageCount: imageCount).sorted(by: { $0.key < $1.key }) {
      guard let found = file.description(of: name), found.elementType == expected.type, found.shape == expected.shape
      else {
        throw CodeFileError(
          path: file.path,
          problem: "should hold '\(name)' of shape \(expected.shape) and does not; encode the images again")
      }
    }
  }
}
