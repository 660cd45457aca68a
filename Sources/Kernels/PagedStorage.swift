import CKernels
import Glibc

/// Floats at addresses that never change, with memory only where and while it is needed.
///
/// The memory comes from the pool: its pages move here, so nothing is copied and nothing comes fresh from the system. The
/// gradients of a step are kept so: each parameter's take the place of activations that the backward pass has done with.
///
/// Where the system cannot move pages, the floats have memory of their own, all the time.
public final class PagedStorage {
  /// Usable floats.
  public let count: Int
  /// The first float.
  public let pointer: UnsafeMutablePointer<Float>
  private let room: UnsafeMutableRawBufferPointer
  /// From `pointer` on.
  private let usableByteCount: Int
  /// The pool's blocks, each without its pages; nil where there is no memory.
  private var pieces: [UnsafeMutableRawBufferPointer?]
  private let pool: StoragePool
  private let movesPages: Bool

  /// What has memory at once: few enough for the system to keep account of, and little more than a layer needs.
  private static let pieceByteCount = 4 << 20

  /// Reserves addresses. None has memory.
  public convenience init(count: Int) { self.init(count: count, pool: .shared, movesPages: Self.pagesCanMove) }

  init(count: Int, pool: StoragePool, movesPages: Bool) {
    self.count = count
    self.pool = pool
    self.movesPages = movesPages
    let unit = StoragePool.hugePageByteCount
    let byteCount = (max(count, 1) * MemoryLayout<Float>.stride).rounded(upTo: unit)
    guard let room = Self.mapped(byteCount + unit), let base = room.baseAddress,
      let start = UnsafeMutableRawPointer(bitPattern: Int(bitPattern: base).rounded(upTo: unit))
    else { fatalError("out of memory: \(byteCount) bytes of addresses wanted") }
    madvise(start, byteCount, MADV_HUGEPAGE)
    self.room = room
    pointer = start.bindMemory(to: Float.self, capacity: count)
    usableByteCount = byteCount
    pieces = Array(repeating: nil, count: (byteCount + Self.pieceByteCount - 1) / Self.pieceByteCount)
  }

  deinit {
    release()
    munmap(room.baseAddress, room.count)
  }

  /// All floats. What has not been provided must not be used.
  public var storage: Storage { Storage(pointer, count: count, ownedBy: self) }

  /// Sees to it that these floats have memory. The contents of floats that had none are undefined.
  public func provide(_ range: Range<Int>) {
    guard movesPages, !range.isEmpty else { return }
    let floatsPerPiece = Self.pieceByteCount / MemoryLayout<Float>.stride
    for index in range.lowerBound / floatsPerPiece...(range.upperBound - 1) / floatsPerPiece
    where pieces[index] == nil {
      let place = place(of: index)
      let piece = pool.take(byteCount: place.count, alignment: StoragePool.hugePageByteCount)
      Self.move(piece, to: place)
      pieces[index] = piece
    }
  }

  /// Takes the memory of all floats back.
  public func release() {
    for (index, piece) in pieces.enumerated() {
      guard let piece else { continue }
      Self.move(place(of: index), to: piece)
      pool.give(piece)
      pieces[index] = nil
    }
  }

  private func place(of index: Int) -> UnsafeMutableRawBufferPointer {
    let range = index * Self.pieceByteCount..<min(usableByteCount, (index + 1) * Self.pieceByteCount)
    return UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(pointer) + range.lowerBound, count: range.count)
  }

  private static func move(_ source: UnsafeMutableRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
    guard kernels_move_pages(source.baseAddress, source.count, target.baseAddress) == 0 else {
      fatalError("out of memory: \(source.count) bytes could not be moved")
    }
  }

  private static func mapped(_ byteCount: Int) -> UnsafeMutableRawBufferPointer? {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let room = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
    return room == MAP_FAILED ? nil : UnsafeMutableRawBufferPointer(start: room, count: byteCount)
  }

  /// Whether this system lets pages move and keeps their old addresses (Linux 5.7 or later).
  public static let pagesCanMove: Bool = {
    let byteCount = sysconf(Int32(_SC_PAGESIZE))
    guard let room = mapped(2 * byteCount), let start = room.baseAddress else { return false }
    defer { munmap(start, room.count) }
    start.storeBytes(of: 1, as: UInt8.self)
    return kernels_move_pages(start, byteCount, start + byteCount) == 0
  }()
}
