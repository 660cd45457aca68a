import Checkpointing
public import Collectives
import DataLoading
import Foundation

/// Packs a data set of any layout into WebDataset shards with an index. Collective.
///
/// Each rank packs every R-th shard on one thread, so as many ranks as there are cores are right. The shards' bytes
/// depend on the input and the options, not on the number of ranks. Started again, it goes on with the shards that are
/// missing.
public struct DatasetPacking {
  private let input: String
  private let labels: String?
  private let names: ShardNames
  private let options: PackingOptions
  private let communicator: any Communicator

  /// - Parameters:
  ///   - input: Whatever `openDataset` takes.
  ///   - labels: As for `openDataset`.
  ///   - names: The pattern of the shards' names.
  ///   - options: Limits of a shard and what happens to images.
  ///   - communicator: The ranks that pack.
  public init(
    input: String, labels: String?, names: ShardNames, options: PackingOptions, communicator: any Communicator
  ) {
    self.input = input
    self.labels = labels
    self.names = names
    self.options = options
    self.communicator = communicator
  }

  /// What came of it.
  public struct Summary: Sendable, Equatable {
    /// Shards in all.
    public var shardCount: Int
    /// Samples in all.
    public var sampleCount: Int
    /// Bytes of all shards.
    public var byteCount: Int
    /// Images that could not be packed.
    public var leftOutCount: Int
  }

  /// Packs what is not packed yet.
  /// - Parameter progress: Told on rank 0 after each of its shards.
  /// - Throws: `ConfigError` for options, `PeerFailure` with what cannot be read or written.
  public func run(progress: (_ finished: Int, _ total: Int) -> Void) throws -> Summary {
    try options.validate()
    try communicator.collectively("making \(names.folder)") {
      if communicator.isFirst { try RunDirectory(path: names.folder).create() }
    }
    let dataset = try openDataset(input, labels: labels, communicator: communicator)
    let plan = PackingPlan(imageCount: dataset.count, byteCounts: try byteCounts(of: dataset), options: options)
    let packing = ShardPacking(dataset: dataset, plan: plan, options: options, settings: settings(for: dataset))

    let own = Array(stride(from: communicator.rank, to: plan.shards.count, by: communicator.worldSize))
    let packed = try communicator.collectively("packing \(input)") {
      try own.enumerated().map { finished, number in
        let shard = try packing.pack(number, names: names)
        if communicator.isFirst {
          progress(min((finished + 1) * communicator.worldSize, plan.shards.count), plan.shards.count)
        }
        return shard
      }
    }
    let shards = try gathered(packed, count: plan.shards.count)
    let leftOut = (dataset as? ArchivedImages)?.leftOut ?? []
    let index = PackedIndex(
      shards: shards, names: names, classNames: dataset.classNames, options: options, leftOut: leftOut)
    try communicator.collectively("writing \(names.indexPath)") {
      guard communicator.isFirst else { return }
      try replaceFile(names.indexPath, with: index.json())
      for number in shards.indices { unlink(names.notePath(number)) }
    }
    return Summary(
      shardCount: shards.count, sampleCount: shards.reduce(0) { $0 + $1.sampleCount },
      byteCount: shards.reduce(0) { $0 + $1.byteCount },
      leftOutCount: leftOut.count + shards.reduce(0) { $0 + $1.leftOut.count })
  }

  /// Every image's size in bytes, each looked at by one rank; empty unless shards are limited by bytes.
  private func byteCounts(of dataset: any ImageDataset) throws -> [Int] {
    guard case .bytes = options.limit else { return [] }
    guard let encoded = dataset as? any EncodedImageDataset else {
      throw ConfigError(key: "--shard-bytes", problem: "needs images that have bytes; use --shard-images for \(input)")
    }
    let own = evenShare(of: encoded.count, rank: communicator.rank, worldSize: communicator.worldSize)
    let sizes = try communicator.collectively("looking at the images of \(input)") {
      try own.map { Int32(clamping: try encoded.byteCount(at: $0)) }
    }
    let all = try communicator.allGather(bytes: sizes.withUnsafeBytes { Array($0) })
    return all.flatMap { bytes in bytes.withUnsafeBytes { Array($0.bindMemory(to: Int32.self)).map(Int.init) } }
  }

  /// All shards in their order, on every rank.
  private func gathered(_ own: [PackedShard], count: Int) throws -> [PackedShard] {
    let encoded = try communicator.collectively("telling of packed shards") { [UInt8](try JSONEncoder().encode(own)) }
    let all = try communicator.allGather(bytes: encoded)
    return try communicator.collectively("hearing of packed shards") {
      let ofRanks = try all.map { try JSONDecoder().decode([PackedShard].self, from: Data($0)) }
      return (0..<count).map { ofRanks[$0 % communicator.worldSize][$0 / communicator.worldSize] }
    }
  }

  /// What decides the content of shards, as a hash.
  private func settings(for dataset: any ImageDataset) -> String {
    var hash = ContentHash()
    hash.add("\(input) \(dataset.count) \(options)")
    for name in dataset.classNames { hash.add(name) }
    for index in stride(from: 0, to: dataset.count, by: max(1, dataset.count / 1000)) {
      hash.add(dataset.name(of: index))
    }
    return hash.hexadecimalText
  }
}

/// The places of one rank when `count` things are divided in order.
func evenShare(of count: Int, rank: Int, worldSize: Int) -> Range<Int> {
  (count * rank / worldSize)..<(count * (rank + 1) / worldSize)
}

/// The index of shards, in the form of `wids` with what we know beyond it.
private struct PackedIndex: Encodable {
  struct Shard: Encodable {
    var url: String
    var nsamples: Int
    var filesize: Int
    var sha256: String
  }

  var wids_version = 1
  var shardlist: [Shard]
  var nsamples: Int
  var classes: [String]?
  var class_counts: [Int]?
  var shorter_side: Int?
  var left_out: [LeftOutMember]

  init(
    shards: [PackedShard], names: ShardNames, classNames: [String], options: PackingOptions, leftOut: [LeftOutMember]
  ) {
    shardlist = shards.enumerated().map {
      Shard(url: names.name($0), nsamples: $1.sampleCount, filesize: $1.byteCount, sha256: $1.sha256)
    }
    nsamples = shards.reduce(0) { $0 + $1.sampleCount }
    if !classNames.isEmpty {
      classes = classNames
      class_counts = classNames.indices.map { label in shards.reduce(0) { $0 + $1.classCounts[label] } }
    }
    shorter_side = options.shorterSide
    left_out = leftOut + shards.flatMap(\.leftOut)
  }

  func json() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    return [UInt8](try encoder.encode(self)) + [UInt8(ascii: "\n")]
  }
}
