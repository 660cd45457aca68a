import Foundation

/// A process that was started here, in a process group of its own.
///
/// Not Foundation's `Process`: that one counts as running while any of its descendants does.
package final class ChildProcess {
  private let identifier: pid_t
  private var status: Int32?

  /// Starts a command, found in `PATH`, with nothing on its standard input.
  /// - Parameters:
  ///   - environment: Set in addition to this process's environment.
  ///   - isSilent: Whether its output is thrown away rather than shared with this process.
  ///   - log: A file that gets its output instead, behind what the file has.
  /// - Throws: `ConfigError` if there is no such command.
  package init(
    _ command: [String], environment: [String: String] = [:], isSilent: Bool = false, log: String? = nil
  ) throws(ConfigError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    if let target = log ?? (isSilent ? "/dev/null" : nil) {
      for file: Int32 in [1, 2] {
        posix_spawn_file_actions_addopen(&actions, file, target, O_WRONLY | O_CREAT | O_APPEND, 0o644)
      }
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Signals that a terminal sends to this process's group are this process's to pass on.
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
    posix_spawnattr_setpgroup(&attributes, 0)
    // Whatever this process, or the one that started it, may have blocked: mpirun must hear signals.
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)

    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
    defer { for text in arguments + settings { free(text) } }
    var identifier: pid_t = 0
    let code = posix_spawnp(&identifier, command[0], &actions, &attributes, &arguments, &settings)
    guard code == 0 else {
      throw ConfigError(problem: "'\(command[0])' cannot be started: \(String(cString: strerror(code)))")
    }
    self.identifier = identifier
  }

  /// Whether it has not ended.
  var isRunning: Bool {
    if status != nil { return false }
    var code: Int32 = 0
    let ended = waitpid(identifier, &code, WNOHANG)
    guard ended == identifier || (ended < 0 && errno != EINTR) else { return true }
    // The low seven bits hold the signal, the next byte the exit status.
    status = code & 0x7f == 0 ? (code >> 8) & 0xff : 128 + (code & 0x7f)
    return false
  }

  /// Waits for the end, or for `patience` at most; true if it has ended.
  package func wait(atMost patience: Duration) -> Bool {
    let deadline = ContinuousClock.now + patience
    while isRunning {
      if ContinuousClock.now >= deadline { return false }
      usleep(10_000)
    }
    return true
  }

  /// Its exit status, or 128 + the number of the signal that ended it. Waits for the end.
  package var exitStatus: Int32 {
    while isRunning { usleep(10_000) }
    return status ?? 0
  }

  /// Sends it a signal.
  package func send(_ signal: Int32) {
    if isRunning { kill(identifier, signal) }
  }

  /// Ends it and what it has started, unless that has left its group.
  package func end() {
    if isRunning { kill(-identifier, SIGKILL) }
    _ = exitStatus
  }
}
