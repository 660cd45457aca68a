import CFrames
import Glibc

/// A cable whose frames take some time: those that come out of its end at the bridge wait here before they enter the
/// bridge through a device of this program, and the other way round.
package struct Link {
  /// Bytes that may be under way in each direction: 50 ms at 10 Gb/s. More are dropped, as a switch drops.
  private static let byteLimit = 64 << 20

  private let tap: Int32
  private let cable: Int32
  private let delay: UInt64

  /// Opens the cable's end and makes the device, which are gone when the program ends.
  /// - Parameter delay: Nanoseconds, in each direction.
  /// - Throws: `LinkError`, for instance where there is no such cable, or this machine does not allow such devices.
  package init(cable name: String, device: String, delay: UInt64) throws(LinkError) {
    cable = frames_open_cable(name)
    guard cable >= 0 else { throw LinkError(operation: "opening \(name)") }
    tap = frames_make_tap(device)
    guard tap >= 0 else { throw LinkError(operation: "making \(device)") }
    self.delay = delay
  }

  /// Goes to the background and leaves the caller's terminal, but for its standard error output.
  package func detach() throws(LinkError) {
    guard frames_serve() == 0 else { throw LinkError(operation: "going to the background") }
  }

  /// Passes frames on until the device is taken away, and returns how many of them, and how many were dropped.
  package func serve() throws(LinkError) -> (passed: Int, dropped: Int) {
    var up = Direction(from: cable, to: tap, delay: delay, byteLimit: Self.byteLimit)
    var down = Direction(from: tap, to: cable, delay: delay, byteLimit: Self.byteLimit)
    var ready: Int32 = 0
    while ready & 4 == 0 {
      if ready & 1 != 0 { try down.receive(now: Self.now) }
      if ready & 2 != 0 { try up.receive(now: Self.now) }
      let time = Self.now
      up.send(now: time)
      down.send(now: time)
      let next = min(up.nextDeparture ?? .max, down.nextDeparture ?? .max)
      ready = frames_wait(tap, cable, next == .max ? -1 : max(0, Int64(next) - Int64(Self.now)))
      guard ready >= 0 else { throw LinkError(operation: "waiting for frames") }
    }
    return (up.passedCount + down.passedCount, up.droppedCount + down.droppedCount)
  }

  /// Nanoseconds of a clock that only goes forward.
  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// A system call on an end of the cable that failed.
package struct LinkError: Error, CustomStringConvertible {
  /// What was tried.
  let operation: String
  /// The value of `errno`.
  var code = errno

  package var description: String { "\(operation): \(String(cString: strerror(code)))" }
}

/// The nanoseconds of a time like `2ms`, `500us` or `0.1s`; nil if it is none, or longer than a minute.
package func nanoseconds(_ text: String) -> UInt64? {
  for (unit, size) in [("us", 1e3), ("ms", 1e6), ("s", 1e9)] where text.hasSuffix(unit) {
    guard let value = Double(text.dropLast(unit.count)), value > 0, value * size <= 60e9 else { continue }
    return UInt64(value * size)
  }
  return nil
}
