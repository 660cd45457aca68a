import CFrames
import Glibc

// Delays the frames of a host of the virtual cluster, where the kernel has no netem. `Cluster/slow` starts it; it goes to
// the background when frames pass, and ends with its device.

func say(_ message: String) {
  let line = "link-delay: \(message)\n"
  write(STDERR_FILENO, line, line.utf8.count)
}

/// The nanoseconds of a time like `2ms`, `500us` or `0.1s`; nil if it is none, or longer than a minute.
func nanoseconds(_ text: String) -> UInt64? {
  for (unit, size) in [("us", 1e3), ("ms", 1e6), ("s", 1e9)] where text.hasSuffix(unit) {
    guard let value = Double(text.dropLast(unit.count)), value > 0, value * size <= 60e9 else { continue }
    return UInt64(value * size)
  }
  return nil
}

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count == 3 else {
  say("usage: link-delay CABLE DEVICE TIME, as Cluster/slow calls it")
  exit(64)
}
guard let delay = nanoseconds(arguments[2]) else {
  say("'\(arguments[2])' is no delay; give up to a minute, for example 2ms, 500us or 0.1s")
  exit(64)
}
do throws(LinkError) {
  let link = try Link(cable: arguments[0], device: arguments[1], delay: delay)
  guard frames_serve() == 0 else { throw LinkError(operation: "going to the background", code: errno) }
  let (passed, dropped) = try link.serve()
  say("\(passed) frames passed, \(dropped) dropped")
} catch {
  say("\(error)")
  exit(71)
}
