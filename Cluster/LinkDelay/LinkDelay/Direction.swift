import CFrames
import Glibc

/// One way through the cable: frames from one end to the other, each after the delay.
struct Direction: ~Copyable {
  private let source: Int32
  private let target: Int32
  private let delay: UInt64
  private var queue: FrameQueue
  private let surplus = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameQueue.largestFrame, alignment: 16)

  /// Frames handed on so far.
  private(set) var passedCount = 0
  /// Frames dropped so far, because too many bytes were on their way or the other end did not take them.
  private(set) var droppedCount = 0

  /// From one file to another, with a delay in nanoseconds and a limit to the bytes under way.
  init(from source: Int32, to target: Int32, delay: UInt64, byteLimit: Int) {
    self.source = source
    self.target = target
    self.delay = delay
    queue = FrameQueue(byteLimit: byteLimit)
  }

  deinit { surplus.deallocate() }

  /// Takes in the frames that have arrived, but only so many, so that the other tasks get their turn.
  /// - Throws: `LinkError` if the end has failed.
  mutating func receive(now: UInt64) throws(LinkError) {
    for _ in 0..<64 {
      let room = queue.room
      let target = room ?? surplus
      let count = read(source, target.baseAddress, target.count)
      guard count >= 0 else {
        if frames_is_passing(errno) != 0 { return }
        throw LinkError(operation: "reading a frame")
      }
      if room != nil { queue.append(count: count, departure: now + delay) } else { droppedCount += 1 }
    }
  }

  /// Hands on the frames whose time has come.
  mutating func send(now: UInt64) {
    while let departure = queue.nextDeparture, departure <= now {
      let frame = queue.next
      if write(target, frame.baseAddress, frame.count) == frame.count { passedCount += 1 } else { droppedCount += 1 }
      queue.removeFirst()
    }
  }

  /// When the next frame is to be handed on, or nil if none is under way.
  var nextDeparture: UInt64? { queue.nextDeparture }
}
