import Glibc

/// Counters of the memory pool, in bytes.
public struct StorageStatistics: Sendable, Equatable {
  /// Bytes in blocks that are in use.
  public var liveBytes = 0
  /// The largest `liveBytes` so far.
  public var peakLiveBytes = 0
  /// How often memory was taken from the system. A steady training step leaves it unchanged.
  public var systemAllocationCount = 0
}

/// Keeps freed memory, because page-faulting fresh memory in costs as much as a pass over it.
///
/// Large blocks are cut from one long stretch of addresses, which the system backs with memory only as far as blocks have
/// reached: the memory that a process needs is then hardly more than the most that was in use at once.
public final class StoragePool: @unchecked Sendable {
  /// The process's pool.
  public static let shared = StoragePool()

  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private var freeSmallBlocks: [Int: [UnsafeMutableRawPointer]] = [:]
  private var freeRegions = FreeRegions()
  /// Addresses that are reserved and have no memory yet; those before it have.
  private var untouched = 0..<0
  private var counters = StorageStatistics()

  /// Blocks up to here have a power of two of bytes and stay in a list of their size: they are many, and little memory.
  private static let smallLimit = 1 << 16
  static let pageByteCount = 4096
  /// What is reserved at once where addresses are limited (`ulimit -v`).
  private static let limitedByteCount = 64 << 20
  /// What huge pages are aligned to.
  static let hugePageByteCount = 2 << 20

  init() {
    lock = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
  }

  /// The counters now.
  public var statistics: StorageStatistics { locked { counters } }

  /// Sets `peakLiveBytes` to the bytes that are live now.
  public func resetPeak() { locked { counters.peakLiveBytes = counters.liveBytes } }

  /// Gives all free memory back to the system; the addresses stay.
  public func trim() {
    locked {
      for blocks in freeSmallBlocks.values { for block in blocks { free(block) } }
      freeSmallBlocks.removeAll()
      for region in freeRegions.all {
        madvise(UnsafeMutableRawPointer(bitPattern: region.lowerBound), region.count, MADV_DONTNEED)
      }
    }
  }

  /// A block of at least `byteCount` bytes. Its address is a multiple of 64 and, beyond 64 KiB, of `alignment`.
  func take(byteCount: Int, alignment: Int = pageByteCount) -> UnsafeMutableRawBufferPointer {
    let isSmall = byteCount <= Self.smallLimit
    let blockByteCount =
      isSmall ? max(64, byteCount.roundedUpToPowerOfTwo) : byteCount.rounded(upTo: Self.pageByteCount)
    return locked {
      counters.liveBytes += blockByteCount
      counters.peakLiveBytes = max(counters.peakLiveBytes, counters.liveBytes)
      guard let start = isSmall ? smallBlock(blockByteCount) : largeBlock(blockByteCount, alignment) else {
        fatalError("out of memory: \(blockByteCount) bytes wanted, \(counters.liveBytes) in use by tensors")
      }
      return UnsafeMutableRawBufferPointer(start: start, count: blockByteCount)
    }
  }

  func give(_ block: UnsafeMutableRawBufferPointer) {
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
    counters.systemAllocationCount += 1
    return block
  }

  private func largeBlock(_ byteCount: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
    while true {
      if let address = freeRegions.take(byteCount, alignment: alignment) {
        return UnsafeMutableRawPointer(bitPattern: address)
      }
      guard extend(by: byteCount, alignment) else { return nil }
    }
  }

  /// Gives memory to as many of the untouched addresses as a block lacks that begins in the free region before them.
  private func extend(by byteCount: Int, _ alignment: Int) -> Bool {
    let start = freeRegions.start(ofRegionBefore: untouched.lowerBound).rounded(upTo: alignment)
    let end = (start + byteCount).rounded(upTo: Self.hugePageByteCount)
    guard end <= untouched.upperBound else { return reserve(byteCount + alignment + Self.hugePageByteCount) }
    let added = untouched.lowerBound..<end
    guard
      mprotect(UnsafeMutableRawPointer(bitPattern: added.lowerBound), added.count, PROT_READ | PROT_WRITE) == 0
    else { return false }
    counters.systemAllocationCount += 1
    untouched = end..<untouched.upperBound
    freeRegions.give(added)
    return true
  }

  /// Reserves as many addresses as the machine has memory, where addresses are not limited, else few at once. From a huge
  /// page on, `least` bytes are usable. What is left of an earlier stretch stays without memory.
  private func reserve(_ least: Int) -> Bool {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    let isLimited = limit.rlim_cur != .max
    let memory = isLimited ? 0 : sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    let byteCount = max(memory, Self.limitedByteCount, least + Self.hugePageByteCount)
    // Without access, so that systems that promise no more memory than there is do not count it.
    let room = mmap(nil, byteCount, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let room, room != MAP_FAILED else { return false }
    let start = Int(bitPattern: room).rounded(upTo: Self.hugePageByteCount)
    untouched = start..<Int(bitPattern: room) + byteCount
    // A new huge page costs one fault where small ones cost 512. A hint: kernels without them refuse it.
    madvise(UnsafeMutableRawPointer(bitPattern: start), untouched.count, MADV_HUGEPAGE)
    return true
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }
}

extension Int {
  /// The least multiple of `unit` that is no smaller.
  func rounded(upTo unit: Int) -> Int { (self + unit - 1) / unit * unit }

  /// The least power of two that is no smaller.
  fileprivate var roundedUpToPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
