/// Frames on their way, with the time at which each arrives at the other end: first in, first out, bounded in bytes.
package struct FrameQueue: ~Copyable {
  /// What a frame takes at most: addresses, and what a network stack hands over in one piece.
  package static let largestFrame = 66_000

  private static let alignment = 16
  /// In front of a frame lie its departure and its size; the size of -1 says that the next frame is at the beginning.
  private static let headSize = 16
  private static let endMark = -1

  private let memory: UnsafeMutableRawPointer
  private let capacity: Int
  /// Bytes taken out and put in so far. An entry lies at its number modulo the capacity, in one piece.
  private var (first, end) = (0, 0)

  /// An empty queue.
  /// - Parameter byteLimit: For frames and what is kept with them. Memory that is never reached is never taken.
  package init(byteLimit: Int) {
    capacity = max(byteLimit, 2 * Self.entrySize(Self.largestFrame)) / Self.alignment * Self.alignment
    memory = .allocate(byteCount: capacity, alignment: Self.alignment)
  }

  deinit { memory.deallocate() }

  /// Where the next frame can be put, or nil if the queue is full.
  package var room: UnsafeMutableRawBufferPointer? {
    let start = nextStart
    guard start + Self.entrySize(Self.largestFrame) - first <= capacity else { return nil }
    return .init(start: memory + start % capacity + Self.headSize, count: Self.largestFrame)
  }

  /// Takes in the frame of `count` bytes that was put into `room`.
  package mutating func append(count: Int, departure: UInt64) {
    let start = nextStart
    if start != end {
      if first == end { first = start } else { setSize(of: end, to: Self.endMark) }
    }
    (memory + start % capacity).storeBytes(of: departure, as: UInt64.self)
    setSize(of: start, to: count)
    end = start + Self.entrySize(count)
  }

  /// When the first frame leaves, or nil if there is none.
  package var nextDeparture: UInt64? { first == end ? nil : (memory + first % capacity).load(as: UInt64.self) }

  /// The first frame; there must be one.
  package var next: UnsafeRawBufferPointer {
    .init(start: memory + first % capacity + Self.headSize, count: size(of: first))
  }

  /// Forgets the first frame; there must be one.
  package mutating func removeFirst() {
    first += Self.entrySize(size(of: first))
    if first != end && size(of: first) == Self.endMark { first += capacity - first % capacity }
  }

  /// Where the next entry begins: at the beginning, where the largest would not fit at the end.
  private var nextStart: Int {
    let rest = capacity - end % capacity
    return rest < Self.entrySize(Self.largestFrame) ? end + rest : end
  }

  private func size(of entry: Int) -> Int { (memory + entry % capacity + 8).load(as: Int.self) }
  private func setSize(of entry: Int, to size: Int) {
    (memory + entry % capacity + 8).storeBytes(of: size, as: Int.self)
  }
  private static func entrySize(_ count: Int) -> Int { headSize + (count + alignment - 1) / alignment * alignment }
}
