import DataLoading

/// How a data set is packed into shards: what `mergevq data pack` is told.
public struct PackingOptions: Sendable, Equatable {
  /// When a shard is full.
  public enum Limit: Sendable, Equatable {
    case images(Int)
    /// Of the images as they are in the input.
    case bytes(Int)
  }

  /// When a shard is full.
  public var limit = Limit.images(4096)
  /// Larger images are resized until their shorter side has so many pixels; nil leaves all as they are.
  public var shorterSide: Int?
  /// JPEG quality of images that are resized or drawn, from 1 to 100.
  public var quality = 92
  /// Decides the order; nil keeps the order of the input.
  public var seed: UInt64? = 0

  /// The defaults.
  public init() {}

  /// Checks ranges.
  public func validate() throws(ConfigError) {
    switch limit {
    case .images(let count): try check(count > 0, "--shard-images", "is \(count); it must be at least 1")
    case .bytes(let count): try check(count > 0, "--shard-bytes", "is \(count); it must be at least 1")
    }
    try check(shorterSide ?? 1 > 0, "--shorter-side", "is \(shorterSide ?? 0); it must be at least 1 pixel")
    try check((1...100).contains(quality), "--quality", "is \(quality); it must lie in 1...100")
  }
}

/// Names of shards: `DIR/train-%06d.tar`.
public struct ShardNames: Sendable, Equatable {
  private let head: String
  private let width: Int

  /// Reads a pattern.
  /// - Throws: `ConfigError` unless it ends in `%0Nd.tar` or `%d.tar`.
  public init(pattern: String) throws(ConfigError) {
    let problem = ConfigError(
      origin: "--output \(pattern)", problem: "must name shards like DIR/train-%06d.tar, with one number before .tar")
    guard pattern.hasSuffix("d.tar"), let percent = pattern.lastIndex(of: "%"),
      pattern.firstIndex(of: "%") == percent
    else { throw problem }
    let digits = pattern[pattern.index(after: percent)...].dropLast("d.tar".count)
    guard digits.isEmpty || digits.hasPrefix("0"), let width = digits.isEmpty ? 1 : Int(digits), width <= 12 else {
      throw problem
    }
    head = String(pattern[..<percent])
    self.width = width
  }

  /// The path of a shard.
  public func path(_ number: Int) -> String {
    let digits = String(number)
    return head + String(repeating: "0", count: max(0, width - digits.count)) + digits + ".tar"
  }

  /// The index of all shards: `DIR/train-index.json`.
  public var indexPath: String { head + "index.json" }

  /// The folder of all files.
  public var folder: String { head.lastIndex(of: "/").map { String(head[..<$0]) } ?? "." }

  /// What is known of a finished shard while others are not: `DIR/.train-000007.packed`.
  func notePath(_ number: Int) -> String {
    let path = path(number)
    let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    return folder + "/." + name.dropLast(".tar".count) + ".packed"
  }

  /// The last part of a path: shards are listed relative to their index.
  func name(_ number: Int) -> String {
    let path = path(number)
    return String(path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...])
  }
}

/// Which image goes into which shard: the same on every rank.
struct PackingPlan {
  /// For each shard the places that it takes of the order.
  let shards: [Range<Int>]
  private let sampler: Sampler?

  /// - Parameter byteCounts: Of all images in the order of the data set, where shards are limited by bytes.
  init(imageCount: Int, byteCounts: [Int], options: PackingOptions) {
    sampler = options.seed.map { Sampler(count: imageCount, seed: $0) }
    switch options.limit {
    case .images(let count):
      shards = stride(from: 0, to: imageCount, by: count).map { $0..<min($0 + count, imageCount) }
    case .bytes(let limit):
      var ranges: [Range<Int>] = []
      var (start, size) = (0, 0)
      for place in 0..<imageCount {
        // A member takes its header and whole blocks; its class takes two blocks more.
        let byteCount = (byteCounts[sampler?.sample(at: place) ?? place] + 511) / 512 * 512 + 1536
        if place > start, size + byteCount > limit {
          ranges.append(start..<place)
          (start, size) = (place, 0)
        }
        size += byteCount
      }
      shards = ranges + (start < imageCount ? [start..<imageCount] : [])
    }
  }

  /// The image at a place of the order.
  func image(at place: Int) -> Int { sampler?.sample(at: place) ?? place }
}
