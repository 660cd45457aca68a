/// Which image comes when: a pure function of the seed and the position in the run.
///
/// Positions count the images of the whole run over all ranks; position `k` lies in epoch `k / count`. Each epoch shows
/// every image exactly once, in an order of its own. An epoch that no global batch divides goes over into the next one
/// within a batch, so no image is dropped or repeated. In step s of R ranks with n images each, rank r takes positions
/// `s·R·n + r·n ..< s·R·n + (r+1)·n`: 1×8, 2×4 and 4×2 see the same global batch, and the only state to save is the
/// number of positions consumed.
public struct Sampler: Sendable {
  /// How many images an epoch has.
  public let count: Int
  /// Another seed gives other orders.
  public let seed: UInt64
  private let shards: ShardedOrder?

  /// A full shuffle; takes no memory per image.
  /// - Precondition: `count` is positive.
  public init(count: Int, seed: UInt64) {
    require(count > 0, "Sampler: a data set of \(count) images has no order")
    self.count = count
    self.seed = seed
    shards = nil
  }

  /// A shuffle that reads shards from front to back; see `ShardedOrder`.
  /// - Precondition: Some shard has images.
  public init(shards: ShardedOrder) {
    require(shards.count > 0, "Sampler: shards without images have no order")
    count = shards.count
    seed = shards.seed
    self.shards = shards
  }

  /// The epoch of a position.
  public func epoch(at position: Int) -> Int { position / count }

  /// The image at a position of the run, or the one `shift` places later in the same epoch (going round at its end).
  ///
  /// The shift finds replacements for unusable images: whatever the ranks, they look at the same ones in the same order.
  public func sample(at position: Int, shiftedBy shift: Int = 0) -> Int {
    let (epoch, place) = (epoch(at: position), (position % count + shift) % count)
    return shards?.sample(at: place, epoch: epoch)
      ?? KeyedPermutation(count: count, seed: seed, epoch: epoch)[place]
  }

  /// The positions of one rank in one step.
  /// - Parameters:
  ///   - step: Counted from `cursor`.
  ///   - cursor: Positions that were consumed before step 0.
  ///   - rank: In `0..<worldSize`.
  ///   - worldSize: Ranks that share each global batch.
  ///   - batchSize: Images per rank.
  public static func positions(
    step: Int, from cursor: Int = 0, rank: Int, worldSize: Int, batchSize: Int
  ) -> Range<Int> {
    let start = cursor + (step * worldSize + rank) * batchSize
    return start..<(start + batchSize)
  }
}

/// A shuffle of `0..<count` that is computed, not stored: a Feistel network over the next larger even number of bits,
/// applied again while the result falls outside (cycle walking; fewer than four times on average for large counts).
struct KeyedPermutation {
  private let count: UInt64
  private let halfBits: UInt64
  private let roundKeys: [UInt64]
  private static let roundCount = 8

  /// - Parameters:
  ///   - row: Which of several permutations of an epoch, with `column`.
  init(count: Int, seed: UInt64, epoch: Int, row: Int = 0, column: Int = 0) {
    self.count = UInt64(count)
    let bits = UInt64(Int.bitWidth - (count - 1).leadingZeroBitCount)
    // Networks over fewer bits than eight reach few of the possible orders.
    halfBits = max((bits + 1) / 2, 4)
    var random = KeyedRandom(seed: seed, purpose: .order, epoch: epoch, sample: row, view: column)
    roundKeys = (0..<Self.roundCount).map { _ in random.next() }
  }

  subscript(index: Int) -> Int {
    var value = UInt64(index)
    repeat { value = permuted(value) } while value >= count
    return Int(value)
  }

  private func permuted(_ value: UInt64) -> UInt64 {
    let mask = (1 << halfBits) - 1 as UInt64
    var (left, right) = (value >> halfBits, value & mask)
    for key in roundKeys { (left, right) = (right, left ^ (mixed(right &+ key) & mask)) }
    return left << halfBits | right
  }
}
