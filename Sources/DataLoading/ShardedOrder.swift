import Synchronization

/// How shards are shuffled.
public struct ShardShuffle: Codable, Sendable, Equatable {
  /// Into how many equal pieces the sequence of shards is cut; one image of each piece follows another. The global batch
  /// size is the right number: then every rank reads its own pieces.
  public var lanes: Int
  /// How many images in a row of a piece are shuffled among each other.
  public var window: Int

  /// - Parameters:
  ///   - lanes: Images of a global batch.
  ///   - window: Of a piece.
  public init(lanes: Int, window: Int = 256) {
    self.lanes = lanes
    self.window = window
  }

  /// Why these options make no sense, or `nil`.
  var problem: String? {
    if lanes < 1 { return "shardShuffle.lanes is \(lanes); it must be at least 1" }
    return window < 1 ? "shardShuffle.window is \(window); it must be at least 1" : nil
  }
}

/// An order in two levels that lets each rank read its share of the shards from front to back, whatever the number of
/// ranks.
///
/// In every epoch the shards are put in a new order, one behind the other, and this sequence of images is cut into as many
/// equal pieces ("lanes") as a global batch has images. Batch after batch takes one image of each lane, so in step s of
/// R ranks a rank reads only its own lanes: 1/R of the bytes, each lane moving through its shards. Within a lane, windows
/// of so many images are shuffled. The order does not depend on the number of ranks.
///
/// Memory: two numbers per shard and epoch. What is read ahead stays with the operating system: at most
/// `window` images per lane.
public struct ShardedOrder: Sendable {
  /// How many images there are.
  public let count: Int
  /// Another seed gives other orders.
  public let seed: UInt64
  private let shardCounts: [Int]
  /// The first image of each shard.
  private let shardStarts: [Int]
  private let lanes: Int
  private let window: Int
  private let epochs = EpochCache()

  /// - Parameters:
  ///   - shardCounts: Images of each shard, in the order of the data set.
  ///   - shuffle: How many lanes and images a window has.
  ///   - seed: Decides the order, with the epoch.
  public init(shardCounts: [Int], shuffle: ShardShuffle, seed: UInt64) {
    self.shardCounts = shardCounts
    self.seed = seed
    var starts: [Int] = []
    var total = 0
    for count in shardCounts {
      starts.append(total)
      total += count
    }
    shardStarts = starts
    count = total
    lanes = max(1, min(shuffle.lanes, total))
    window = shuffle.window
  }

  /// The image at a place of an epoch.
  func sample(at place: Int, epoch: Int) -> Int {
    let (row, lane) = (place / lanes, place % lanes)
    // The first lanes are one longer where the lanes do not divide the images.
    let (length, longer) = (count / lanes, count % lanes)
    let laneStart = lane * length + min(lane, longer)
    let laneCount = length + (lane < longer ? 1 : 0)
    let windowStart = row / window * window
    let windowCount = min(window, laneCount - windowStart)
    let shuffled = KeyedPermutation(
      count: windowCount, seed: seed, epoch: epoch, row: lane, column: 1 + row / window)[row - windowStart]
    return image(at: laneStart + windowStart + shuffled, epoch: epoch)
  }

  /// The image at a place of the shuffled shards' sequence.
  private func image(at place: Int, epoch: Int) -> Int {
    let sequence = epochs.sequence(of: epoch) { makeSequence(epoch: epoch) }
    var (low, high) = (0, sequence.starts.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if sequence.starts[middle] <= place { low = middle } else { high = middle }
    }
    return shardStarts[sequence.shards[low]] + place - sequence.starts[low]
  }

  private func makeSequence(epoch: Int) -> Sequence {
    let order = KeyedPermutation(count: shardCounts.count, seed: seed, epoch: epoch)
    // Shards without images would make two of them begin at the same place.
    let shards = shardCounts.indices.map { order[$0] }.filter { shardCounts[$0] > 0 }
    var starts: [Int] = []
    var total = 0
    for shard in shards {
      starts.append(total)
      total += shardCounts[shard]
    }
    return Sequence(shards: shards, starts: starts)
  }

  /// The shards of one epoch, and where in it each begins.
  private struct Sequence: Sendable {
    let shards: [Int]
    let starts: [Int]
  }

  /// The epochs in use: loader threads may be in two at once.
  private final class EpochCache: Sendable {
    private let kept: Mutex<[Int: Sequence]> = Mutex([:])

    func sequence(of epoch: Int, make: () -> Sequence) -> Sequence {
      if let sequence = kept.withLock({ $0[epoch] }) { return sequence }
      let sequence = make()
      kept.withLock {
        if $0.count > 1, let oldest = $0.keys.min() { $0[oldest] = nil }
        $0[epoch] = sequence
      }
      return sequence
    }
  }
}
