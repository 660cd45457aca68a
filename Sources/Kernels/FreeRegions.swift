/// Free stretches of memory in the order of their addresses: taken where they fit best, and joined with their neighbours
/// when they come back.
///
/// A training step takes and returns blocks of many sizes in the same order every time. Blocks that are cut from free
/// stretches need hardly more than the most bytes in use at once; lists of blocks by size would need the most of every
/// size, a quarter more for a tokenizer.
struct FreeRegions {
  private var regions: [Range<Int>] = []

  /// The start of `byteCount` bytes of the smallest region that has them, or nil if none has.
  mutating func take(_ byteCount: Int) -> Int? {
    var best: Int?
    for (index, region) in regions.enumerated()
    where region.count >= byteCount && region.count < best.map({ regions[$0].count }) ?? .max {
      best = index
      if region.count == byteCount { break }
    }
    guard let best else { return nil }
    let region = regions[best]
    if region.count == byteCount {
      regions.remove(at: best)
    } else {
      regions[best] = region.lowerBound + byteCount..<region.upperBound
    }
    return region.lowerBound
  }

  /// Adds a region that overlaps none.
  mutating func give(_ region: Range<Int>) {
    var (low, high) = (0, regions.count)
    while low < high {
      let middle = (low + high) / 2
      if regions[middle].lowerBound < region.lowerBound { low = middle + 1 } else { high = middle }
    }
    var joined = region
    if low < regions.count, regions[low].lowerBound == joined.upperBound {
      joined = joined.lowerBound..<regions.remove(at: low).upperBound
    }
    if low > 0, regions[low - 1].upperBound == joined.lowerBound {
      regions[low - 1] = regions[low - 1].lowerBound..<joined.upperBound
    } else {
      regions.insert(joined, at: low)
    }
  }

  /// Takes everything.
  mutating func takeAll() -> [Range<Int>] {
    defer { regions = [] }
    return regions
  }
}
