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
  private let sizeClass: Int

  /// Takes a block of at least `count` floats from the pool, or from the system if none fits.
  public init(count: Int) {
    self.count = count
    (pointer, sizeClass) = StoragePool.shared.take(floatCount: count)
  }

  deinit { StoragePool.shared.give(pointer, sizeClass: sizeClass) }
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

/// Keeps freed blocks by size class, because page-faulting fresh memory in costs as much as a pass over it.
public final class StoragePool: @unchecked Sendable {
  /// The process's pool.
  public static let shared = StoragePool()

  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private var freeBlocks: [Int: [UnsafeMutablePointer<Float>]] = [:]
  private var counters = StorageStatistics()

  private init() {
    lock = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
  }

  /// The counters now.
  public var statistics: StorageStatistics { locked { counters } }

  /// Sets `peakLiveBytes` to the bytes that are live now.
  public func resetPeak() { locked { counters.peakLiveBytes = counters.liveBytes } }

  /// Gives every free block back to the system.
  public func trim() {
    locked {
      for (sizeClass, blocks) in freeBlocks {
        for block in blocks { free(block) }
        counters.reservedBytes -= blocks.count * Self.byteCount(ofClass: sizeClass)
      }
      freeBlocks.removeAll()
    }
  }

  fileprivate func take(floatCount: Int) -> (UnsafeMutablePointer<Float>, Int) {
    let sizeClass = Self.sizeClass(forBytes: max(floatCount, 1) * MemoryLayout<Float>.stride)
    return locked {
      // The next class up wastes an eighth at most, and saves a system allocation.
      for candidate in [sizeClass, sizeClass + 1] {
        if let block = freeBlocks[candidate]?.popLast() {
          noteTaken(Self.byteCount(ofClass: candidate))
          return (block, candidate)
        }
      }
      let bytes = Self.byteCount(ofClass: sizeClass)
      guard let raw = Self.systemBlock(byteCount: bytes) else {
        fatalError("out of memory: \(bytes) bytes wanted, \(counters.reservedBytes) in use by tensors")
      }
      counters.systemAllocationCount += 1
      counters.reservedBytes += bytes
      noteTaken(bytes)
      return (raw.bindMemory(to: Float.self, capacity: bytes / MemoryLayout<Float>.stride), sizeClass)
    }
  }

  fileprivate func give(_ block: UnsafeMutablePointer<Float>, sizeClass: Int) {
    locked {
      counters.liveBytes -= Self.byteCount(ofClass: sizeClass)
      freeBlocks[sizeClass, default: []].append(block)
    }
  }

  /// Memory from the system; in huge pages where it fills some: a new one costs one fault where small pages cost 512.
  ///
  /// Only whole huge pages are asked for: a part of one would take memory that nobody uses.
  private static func systemBlock(byteCount: Int) -> UnsafeMutableRawPointer? {
    let hugePage = 2 << 20
    let hugeBytes = byteCount / hugePage * hugePage
    var raw: UnsafeMutableRawPointer?
    guard posix_memalign(&raw, hugeBytes > 0 ? hugePage : 64, byteCount) == 0 else { return nil }
    // A hint: kernels without huge pages refuse it, and nothing is lost.
    if hugeBytes > 0 { madvise(raw, hugeBytes, MADV_HUGEPAGE) }
    return raw
  }

  private func noteTaken(_ bytes: Int) {
    counters.liveBytes += bytes
    counters.peakLiveBytes = max(counters.peakLiveBytes, counters.liveBytes)
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }

  /// Eight classes per power of two: class `8·e + s` holds `(8 + s)·2^e` times 64 bytes.
  private static func sizeClass(forBytes bytes: Int) -> Int {
    let units = (bytes + 63) / 64
    if units < 8 { return units }
    let exponent = Int.bitWidth - 1 - units.leadingZeroBitCount - 3
    let steps = (units + (1 << exponent) - 1) >> exponent  // 8...16
    return 8 * (exponent + 1) + (steps - 8)
  }

  private static func byteCount(ofClass sizeClass: Int) -> Int {
    if sizeClass < 8 { return max(sizeClass, 1) * 64 }
    let exponent = sizeClass / 8 - 1
    return ((8 + sizeClass % 8) << exponent) * 64
  }
}
