import Glibc

/// A block of pooled float memory, 64-byte aligned, returned to the pool when the last reference goes.
///
/// The contents of a new block are undefined. One thread writes at a time; handing a `Storage` to another thread hands
/// over that right, hence `@unchecked Sendable`.
public final class Storage: @unchecked Sendable {
  /// The first float.
  public let pointer: UnsafeMutablePointer<Float>
  /// Usable floats.
  public let count: Int
  private let block: UnsafeMutableRawBufferPointer

  /// Takes a block of at least `count` floats from the pool, or from the system if none fits.
  public init(count: Int) {
    self.count = count
    block = StoragePool.shared.take(byteCount: max(count, 1) * MemoryLayout<Float>.stride)
    guard let start = block.baseAddress else { fatalError("Storage: a block without memory") }
    pointer = start.bindMemory(to: Float.self, capacity: count)
  }

  deinit { StoragePool.shared.give(block) }
}

/// Counters of the memory pool, in bytes.
public struct StorageStatistics: Sendable, Equatable {
  /// Bytes in blocks that are in use.
  public var liveBytes = 0
  /// The largest `liveBytes` so far.
  public var peakLiveBytes = 0
  /// Bytes ever taken from the system and not given back.
  public var reservedBytes = 0
  /// Blocks ever taken from the system. A steady training step leaves it unchanged.
  public var systemAllocationCount = 0
}

/// Keeps freed memory, because page-faulting fresh memory in costs as much as a pass over it.
public final class StoragePool: @unchecked Sendable {
  /// The process's pool.
  public static let shared = StoragePool()

  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private var freeSmallBlocks: [Int: [UnsafeMutableRawPointer]] = [:]
  private var freeRegions = FreeRegions()
  private var counters = StorageStatistics()

  /// Blocks up to here have a power of two of bytes and stay in a list of their size: they are many, and little memory.
  private static let smallLimit = 1 << 16
  private static let pageByteCount = 4096
  private static let hugePageByteCount = 2 << 20
  /// The least that is taken from the system at once.
  private static let segmentByteCount = 64 << 20

  private init() {
    lock = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
  }

  /// The counters now.
  public var statistics: StorageStatistics { locked { counters } }

  /// Sets `peakLiveBytes` to the bytes that are live now.
  public func resetPeak() { locked { counters.peakLiveBytes = counters.liveBytes } }

  /// Gives all free memory back to the system.
  public func trim() {
    locked {
      for (byteCount, blocks) in freeSmallBlocks {
        for block in blocks { free(block) }
        counters.reservedBytes -= blocks.count * byteCount
      }
      freeSmallBlocks.removeAll()
      for region in freeRegions.takeAll() { release(region) }
    }
  }

  fileprivate func take(byteCount: Int) -> UnsafeMutableRawBufferPointer {
    let isSmall = byteCount <= Self.smallLimit
    let blockByteCount =
      isSmall ? max(64, byteCount.roundedUpToPowerOfTwo) : byteCount.rounded(upTo: Self.pageByteCount)
    return locked {
      counters.liveBytes += blockByteCount
      counters.peakLiveBytes = max(counters.peakLiveBytes, counters.liveBytes)
      guard let start = isSmall ? smallBlock(blockByteCount) : largeBlock(blockByteCount) else {
        fatalError("out of memory: \(blockByteCount) bytes wanted, \(counters.reservedBytes) in use by tensors")
      }
      return UnsafeMutableRawBufferPointer(start: start, count: blockByteCount)
    }
  }

  fileprivate func give(_ block: UnsafeMutableRawBufferPointer) {
    guard let start = block.baseAddress else { return }
    locked {
      counters.liveBytes -= block.count
      if block.count <= Self.smallLimit {
        freeSmallBlocks[block.count, default: []].append(start)
      } else {
        let address = Int(bitPattern: start)
        freeRegions.give(address..<address + block.count)
      }
    }
  }

  private func smallBlock(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    if let block = freeSmallBlocks[byteCount]?.popLast() { return block }
    var block: UnsafeMutableRawPointer?
    guard posix_memalign(&block, 64, byteCount) == 0 else { return nil }
    noteReserved(byteCount)
    return block
  }

  private func largeBlock(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    if let address = freeRegions.take(byteCount) { return UnsafeMutableRawPointer(bitPattern: address) }
    guard let segment = reserve(max(byteCount, Self.segmentByteCount).rounded(upTo: Self.hugePageByteCount)) else {
      return nil
    }
    freeRegions.give(segment)
    return freeRegions.take(byteCount).flatMap { UnsafeMutableRawPointer(bitPattern: $0) }
  }

  /// Memory from the system in huge pages: a new one costs one fault where small pages cost 512.
  private func reserve(_ byteCount: Int) -> Range<Int>? {
    // Room to begin at a huge page; what is left over before and behind goes back.
    let roomByteCount = byteCount + Self.hugePageByteCount
    let room = mmap(nil, roomByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let room, room != MAP_FAILED else { return nil }
    noteReserved(roomByteCount)
    let start = Int(bitPattern: room).rounded(upTo: Self.hugePageByteCount)
    release(Int(bitPattern: room)..<start)
    release(start + byteCount..<Int(bitPattern: room) + roomByteCount)
    // A hint: kernels without huge pages refuse it, and nothing is lost.
    madvise(UnsafeMutableRawPointer(bitPattern: start), byteCount, MADV_HUGEPAGE)
    return start..<start + byteCount
  }

  private func release(_ region: Range<Int>) {
    guard !region.isEmpty else { return }
    munmap(UnsafeMutableRawPointer(bitPattern: region.lowerBound), region.count)
    counters.reservedBytes -= region.count
  }

  private func noteReserved(_ byteCount: Int) {
    counters.systemAllocationCount += 1
    counters.reservedBytes += byteCount
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }
}

extension Int {
  /// The least multiple of `unit` that is no smaller.
  fileprivate func rounded(upTo unit: Int) -> Int { (self + unit - 1) / unit * unit }

  /// The least power of two that is no smaller.
  fileprivate var roundedUpToPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
