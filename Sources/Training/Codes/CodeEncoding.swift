import Checkpointing
public import Collectives
import DataLoading
import Foundation
import Kernels
import Tensors
import Tokenizer

/// Turns a data set into codes, with all ranks together. Collective throughout.
///
/// Every shard is computed by one rank in the same batches, so the files are the same whatever the number of ranks.
/// An interrupted encoding goes on where it was: shards under their final names are complete.
public struct CodeEncoding {
  /// What to encode, and how.
  public struct Options: Sendable {
    /// The images: whatever `openDataset` takes.
    public var data: String
    /// The folder to write.
    public var output: String
    /// Numbers of tokens to keep; nil for those that the tokenizer was trained with.
    public var keepCounts: [Int]?
    /// Whether all of `FixedView.tenCrops` are encoded, instead of the middle alone.
    public var usesTenCrops = false
    /// Whether the middle is encoded mirrored, too.
    public var isFlipped = false
    /// What the shorter side of images is scaled to; nil: 1.1 times the resolution for ten crops, else what the
    /// tokenizer was trained with.
    public var shorterSide: Int?
    /// A file of class names, see `ClassNames`.
    public var names: String?
    /// Threads of a rank; nil: its share of the cores.
    public var threads: Int?
    /// The share of images that may be unusable.
    public var badImageShare = 0.01

    /// The middle of every image of `data`.
    public init(data: String, output: String) {
      self.data = data
      self.output = output
    }
  }

  /// Views that are encoded at a time, where an image does not have more.
  private static let viewsPerBatch = 16
  /// Images of a shard: enough for a file to be worth its name, few enough for ranks to share small data sets.
  private static let imagesPerShard = 256

  private let communicator: any Communicator
  private let options: Options
  private let tokenizer: TrainedTokenizer
  private let dataset: any ImageDataset
  private let content: CodeManifest.Content
  private let interruption = Interruption()

  /// Loads the tokenizer and opens the data.
  /// - Throws: `PeerFailure` with what is wrong with the options, the tokenizer or the data.
  public init(checkpoint: String, options: Options, communicator: any Communicator) throws {
    self.communicator = communicator
    self.options = options
    try RankThreads.configure(options.threads, communicator: communicator)
    tokenizer = try communicator.collectively("reading the tokenizer") { try TrainedTokenizer(path: checkpoint) }
    dataset = try openDataset(options.data, communicator: communicator)
    content = try communicator.collectively("planning the codes") { [tokenizer, dataset] in
      try Self.content(options, tokenizer: tokenizer, dataset: dataset)
    }
  }

  private static func content(
    _ options: Options, tokenizer: TrainedTokenizer, dataset: any ImageDataset
  ) throws -> CodeManifest.Content {
    let config = tokenizer.recipe.model
    let keepCounts = Array(Set(options.keepCounts ?? config.keepCounts)).sorted()
    try tokenizer.check(keepCounts: keepCounts, source: .actual)
    if options.usesTenCrops && options.isFlipped {
      throw ConfigError(origin: "--flip", problem: "ten crops are mirrored already; leave it out")
    }
    let middle = options.isFlipped ? [FixedView(), FixedView(isMirrored: true)] : [FixedView()]
    let usual = tokenizer.recipe.data.resize ?? config.resolution
    let enlarged = Int((1.1 * Double(config.resolution)).rounded())
    let shorterSide = options.shorterSide ?? (options.usesTenCrops ? max(usual, enlarged) : usual)
    guard shorterSide >= config.resolution else {
      throw ConfigError(
        origin: "--resize \(shorterSide)",
        problem: "is less than the \(config.resolution) pixels that this tokenizer sees")
    }
    var classes = ClassNames(names: dataset.classNames)
    if let path = options.names { try classes.readTitles(from: path) }
    return CodeManifest.Content(
      tokenizer: tokenizer.identity, codeBits: config.codeBits, gridSize: config.gridSize, keepCounts: keepCounts,
      defaultKeepCount: keepCounts.contains(config.defaultKeepCount) ? config.defaultKeepCount : keepCounts[0],
      views: options.usesTenCrops ? FixedView.tenCrops : middle, shorterSide: shorterSide, source: options.data,
      imageCount: dataset.count,
      classes: classes,
      imagesPerShard: imagesPerShard)
  }

  /// How an encoding ended.
  public enum Ending: Equatable, Sendable {
    /// All codes are there.
    case finished(CodeManifest)
    /// A signal asked for it; the same command goes on.
    case interrupted(signal: Int32)
  }

  /// Encodes what is missing and writes the manifest.
  /// - Parameter progress: Called on rank 0 with the images that are done and that there are.
  /// - Throws: `PeerFailure`: what exists is not touched, what fails on one rank ends all.
  public func run(progress: (_ done: Int, _ of: Int) -> Void) throws -> Ending {
    interruption.listen()
    let isFirst = communicator.isFirst
    let found = try communicator.collectively("opening \(options.output)") { isFirst ? try claimOutput() : [] }
    let present = Set(
      try communicator.broadcast(found.map(String.init).joined(separator: " ")).split(separator: " ").compactMap {
        Int($0)
      })
    let missing = (0..<content.shardCount).filter { !present.contains($0) }
    for start in stride(from: 0, to: missing.count, by: communicator.worldSize) {
      let own = start + communicator.rank
      try communicator.collectively("encoding images") {
        if own < missing.count { try encode(shard: missing[own]) }
      }
      if isFirst {
        let done = present.union(missing.prefix(start + communicator.worldSize))
        progress(done.reduce(0) { $0 + content.images(ofShard: $1).count }, content.imageCount)
      }
      if let signal = try interruption.agreed(by: communicator) { return .interrupted(signal: signal) }
    }
    return .finished(try commit())
  }

  /// Makes the folder, or recognises one that this encoding left unfinished; returns the shards in it.
  private func claimOutput() throws -> [Int] {
    let (path, files) = (options.output, FileManager.default)
    let contentPath = path + "/" + CodeManifest.contentFileName
    if files.fileExists(atPath: contentPath) {
      let started = try CodeManifest.decoded(CodeManifest.Content.self, path: contentPath) { "cannot be read" }
      guard started == content else {
        throw ConfigError(
          origin: path,
          problem: "holds unfinished codes of another encoding (of \(started.source) by \(started.tokenizer.text)); "
            + "remove it, or name another output")
      }
      return (0..<content.shardCount).filter {
        files.fileExists(atPath: path + "/" + CodeManifest.Content.name(ofShard: $0))
      }
    }
    _ = try NewOutput(path)
    try RunDirectory(path: path).create()
    try CodeManifest.write(content, to: contentPath)
    return []
  }

  private func encode(shard: Int) throws {
    let images = content.images(ofShard: shard)
    var labels: [Int32] = []
    var indices: [Int32] = []
    var codes: [Int: [Int32]] = [:]
    var groups: [Int: [Int32]] = [:]
    let step = max(1, Self.viewsPerBatch / content.views.count)
    for start in stride(from: images.lowerBound, to: images.upperBound, by: step) {
      let batch = try views(of: start..<min(start + step, images.upperBound))
      labels += batch.indices.map { dataset.label(of: $0) }
      indices += batch.indices.map { Int32($0) }
      guard !batch.indices.isEmpty else { continue }
      let encoded = tokenizer.model.codes(of: batch.pixels, keeps: content.keepCounts)
      for (keep, output) in zip(content.keepCounts, encoded) {
        codes[keep, default: []] += output.codes
        groups[keep, default: []] += output.groups
      }
    }
    let layout = content.layout(imageCount: indices.count)
    let tensors = layout.compactMap {
      TensorDescription(name: $0.key, elementType: $0.value.type, shape: $0.value.shape)
    }
    try Safetensors.write(
      tensors, metadata: ["tokenizer": content.tokenizer.sha256],
      to: options.output + "/" + CodeManifest.Content.name(ofShard: shard)
    ) { tensor in
      let keep = tensor.name.split(separator: "-").dropFirst().first.flatMap { Int($0) } ?? 0
      let values =
        switch tensor.name.prefix(1) {
        case "c": codes[keep] ?? []
        case "g": groups[keep] ?? []
        case "l": labels
        default: indices
        }
      return switch tensor.elementType {
      case .uint8: .uint8(values.map { UInt8($0) })
      case .int16: .int16(values.map { Int16($0) })
      default: .int32(values)
      }
    }
  }

  /// All views of the usable ones of some images: image after image, view after view. Lists the others.
  private func views(of images: Range<Int>) throws -> (indices: [Int], pixels: Tensor) {
    let (size, views) = (tokenizer.recipe.model.resolution, content.views)
    var loaded = [Result<[Float], DataError>?](repeating: nil, count: images.count)
    loaded.withUnsafeMutableBufferPointer { loaded in
      nonisolated(unsafe) let loaded = loaded
      parallelFor(images.count) { number in
        loaded[number] = Result { () throws(DataError) in try dataset.image(at: images.lowerBound + number) }.map {
          image in
          views.flatMap { $0.values(of: image, shorterSide: content.shorterSide, resolution: size) }
        }
      }
    }
    var (indices, pixels, bad) = ([Int](), [Float](), [BadImage]())
    for (index, result) in zip(images, loaded) {
      switch result {
      case .success(let values):
        indices.append(index)
        pixels += values
      case .failure(let error):
        bad.append(
          BadImage(name: dataset.name(of: index), reason: error.reason.description, sampleIndex: index))
      case nil: break
      }
    }
    try BadImageLog(directory: RunDirectory(path: options.output), rank: communicator.rank).append(bad)
    return (indices, Tensor(pixels, shape: [indices.count * views.count, size, size, 3]))
  }

  /// Hashes all shards, with the ranks sharing the work, and writes the manifest.
  private func commit() throws -> CodeManifest {
    let own = try communicator.collectively("checking the codes") {
      try (0..<content.shardCount).filter { $0 % communicator.worldSize == communicator.rank }.map { index in
        let name = CodeManifest.Content.name(ofShard: index)
        let path = options.output + "/" + name
        let file = try Safetensors(path: path)
        let count = try file.shape(of: "labels").first ?? 0
        try content.checkLayout(of: file, imageCount: count)
        let byteCount = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        return CodeManifest.Shard(
          name: name, imageCount: count, byteCount: byteCount ?? 0, sha256: try sha256(ofFile: path))
      }
    }
    let texts = try communicator.allGather(bytes: Array(JSONEncoder().encode(own)))
    let shards = try texts.flatMap { try JSONDecoder().decode([CodeManifest.Shard].self, from: Data($0)) }
      .sorted { $0.name < $1.name }
    let manifest = CodeManifest(content: content, shards: shards)
    try communicator.collectively("writing the manifest") {
      let unusable = content.imageCount - manifest.encodedImageCount
      guard Double(unusable) <= options.badImageShare * Double(content.imageCount) else {
        throw CodeFileError(
          path: options.data,
          problem: "\(unusable) of \(content.imageCount) images could not be used, more than the allowed share of "
            + "\(options.badImageShare); \(options.output)/bad-images-rank*.jsonl lists them")
      }
      guard communicator.isFirst else { return }
      try CodeManifest.write(manifest, to: options.output + "/" + CodeManifest.fileName)
      try FileManager.default.removeItem(atPath: options.output + "/" + CodeManifest.contentFileName)
    }
    return manifest
  }
}

extension TrainedTokenizer {
  /// What codes of it name it by.
  var identity: TokenizerIdentity {
    TokenizerIdentity(sha256: fingerprint, name: recipe.name, step: step ?? 0, checkpoint: path)
  }
}

extension TokenizerModel {
  /// Codes and groups of images at several keep counts.
  /// - Parameter images: Shape `[B, H, W, 3]`.
  /// - Returns: For each of `keeps`, `B·K` codes and `B·L` tokens that the positions belong to.
  func codes(of images: Tensor, keeps: [Int]) -> [(codes: [Int32], groups: [Int32])] {
    withoutGradient {
      encoder(images, keeps: keeps).map { (lookupFreeQuantize($0.latent).indices, $0.groups) }
    }
  }
}
