import Glibc
import LinkDelay

// Delays the frames of a host of the virtual cluster, where the kernel has no netem. `Cluster/slow` starts it; it goes to
// the background when frames pass, and ends with its device.

func say(_ message: String) {
  let line = "link-delay: \(message)\n"
  write(STDERR_FILENO, line, line.utf8.count)
}

// Files that a caller left open would stay open as long as this runs, and some callers wait for their end.
closefrom(3)
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
  try link.detach()
  let (passed, dropped) = try link.serve()
  say("\(passed) frames passed, \(dropped) dropped")
} catch {
  say("\(error)")
  exit(71)
}
