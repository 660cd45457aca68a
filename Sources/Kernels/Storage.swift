/// A block of float memory, 64-byte aligned, returned to where it came from when the last reference goes: as a rule the
/// pool.
///
/// The contents of a new block are undefined. One thread writes at a time; handing a `Storage` to another thread hands
/// over that right, hence `@unchecked Sendable`.
public final class Storage: @unchecked Sendable {
  /// The first float.
  public let pointer: UnsafeMutablePointer<Float>
  /// Usable floats.
  public let count: Int
  private let memory: Memory

  private enum Memory {
    case pooled(UnsafeMutableRawBufferPointer)
    case owned(by: AnyObject)
  }

  /// Takes a block of at least `count` floats from the pool, or from the system if none fits.
  public init(count: Int) {
    self.count = count
    let block = StoragePool.shared.take(byteCount: max(count, 1) * MemoryLayout<Float>.stride)
    guard let start = block.baseAddress else { fatalError("Storage: a block without memory") }
    pointer = start.bindMemory(to: Float.self, capacity: count)
    memory = .pooled(block)
  }

  /// Memory that `owner` frees once nothing refers to it.
  init(_ pointer: UnsafeMutablePointer<Float>, count: Int, ownedBy owner: AnyObject) {
    self.pointer = pointer
    self.count = count
    memory = .owned(by: owner)
  }

  deinit {
    if case .pooled(let block) = memory { StoragePool.shared.give(block) }
  }
}
