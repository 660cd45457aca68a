/// Free stretches of memory in the order of their addresses: taken where they fit best, and joined with their neighbours
/// when they come back.
///
/// A training step takes and returns blocks of many sizes in the same order every time. Blocks that are cut from free
/// stretches need hardly more than the most bytes in use at once; lists of blocks by size would need the most of every
/// size, a quarter more for a tokenizer.
struct FreeRegions {
  /// The regions; between any two is something in use.
  private(set) var all: [Range<Int>] = []

  /// Takes `byteCount` bytes from the smallest region that has them behind a multiple of `alignment`; returns where they
  /// begin, nil if no region has them.
  mutating func take(_ byteCount: Int, alignment: Int = 1) -> Int? {
    var best: (index: Int, start: Int)?
    for (index, region) in all.enumerated() where region.count < best.map({ all[$0.index].count }) ?? .max {
      let start = region.lowerBound.rounded(upTo: alignment)
      guard start + byteCount <= region.upperBound else { continue }
      best = (index, start)
      if region.count == byteCount { break }
    }
    guard let (index, start) = best else { return nil }
    let region = all[index]
    let rest = [region.lowerBound..<start, start + byteCount..<region.upperBound]
    all.replaceSubrange(index...index, with: rest.filter { !$0.isEmpty })
    return start
  }

  /// Adds a region that overlaps none.
  mutating func give(_ region: Range<Int>) {
    let index = firstIndex(from: region.lowerBound)
    var joined = region
    if index < all.count, all[index].lowerBound == joined.upperBound {
      joined = joined.lowerBound..<all.remove(at: index).upperBound
    }
    if index > 0, all[index - 1].upperBound == joined.lowerBound {
      all[index - 1] = all[index - 1].lowerBound..<joined.upperBound
    } else {
      all.insert(joined, at: index)
    }
  }

  /// Where the region begins that ends at `address`; `address` itself if none does.
  func start(ofRegionBefore address: Int) -> Int {
    let index = firstIndex(from: address)
    return index > 0 && all[index - 1].upperBound == address ? all[index - 1].lowerBound : address
  }

  /// The index of the first region that begins at `address` or behind it.
  private func firstIndex(from address: Int) -> Int {
    var (low, high) = (0, all.count)
    while low < high {
      let middle = (low + high) / 2
      if all[middle].lowerBound < address { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
