import Foundation
import MPI
import Training

/// Standard output and standard error.
enum Console {
  /// Writes text as it is, at once.
  static func write(_ text: String) { write(text, to: STDOUT_FILENO) }

  /// Writes text to standard error, at once.
  static func writeError(_ text: String) { write(text, to: STDERR_FILENO) }

  /// A progress line that fits where standard output goes.
  static func progressLine() -> ProgressLine {
    guard let terminal = terminalPath() else { return ProgressLine(isTerminal: false) }
    return ProgressLine(isTerminal: true, columnCount: columnCount(of: terminal))
  }

  /// The terminal that the user sees standard output on, if it is one.
  ///
  /// mpirun gives its ranks pseudo-terminals even where its own output goes to a file, so under a launcher the
  /// launcher's output counts; on other hosts than mpirun's nothing is known, and a log is assumed.
  private static func terminalPath() -> String? {
    guard isStartedByLauncher else { return isatty(STDOUT_FILENO) == 1 ? "/dev/tty" : nil }
    let path: String
    do {
      path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(getppid())/fd/1")
    } catch {
      return nil
    }
    return path.hasPrefix("/dev/pts/") || path.hasPrefix("/dev/tty") ? path : nil
  }

  private static func columnCount(of terminal: String) -> Int {
    let file = open(terminal, O_RDONLY | O_NOCTTY | O_CLOEXEC)
    guard file >= 0 else { return 80 }
    defer { close(file) }
    var size = winsize()
    guard ioctl(file, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  private static func write(_ text: String, to file: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
      // Nobody is left to tell when standard output is closed; the work itself goes on.
      guard count > 0 || errno == EINTR || errno == EAGAIN else { return }
      rest = rest.dropFirst(max(0, count))
    }
  }
}
