import Foundation

/// Keeps two jobs from training in one run directory.
///
/// The file `lock` is locked by the kernel (`flock`) while the job lives, and tells who holds it. The kernel frees it
/// however a job ends, so after a crash the next start on the same host takes over without ado. File systems need not
/// carry such locks to other hosts; there the text decides, and a start with the same job name (a relaunch by the
/// same supervisor or batch job) takes over from its predecessor.
public final class RunLock {
  /// Who trains in a run directory.
  public struct Holder: Codable, Sendable, Equatable {
    /// The host of its rank 0.
    public var host: String
    /// The process of its rank 0.
    public var processIdentifier: Int32
    /// When it started, ISO 8601.
    public var since: String
    /// What its relaunches have in common, if it is run by a supervisor or a batch system.
    public var job: String?

    /// Names a holder.
    public init(host: String, processIdentifier: Int32, since: String, job: String? = nil) {
      self.host = host
      self.processIdentifier = processIdentifier
      self.since = since
      self.job = job
    }

    /// This process.
    public static func current(job: String? = nil) -> Holder {
      Holder(
        host: ProcessInfo.processInfo.hostName, processIdentifier: ProcessInfo.processInfo.processIdentifier,
        since: Date().formatted(.iso8601), job: job)
    }

    /// Whether the process still exists, if it is one of `host`.
    fileprivate func isAlive(on host: String) -> Bool {
      self.host == host && (kill(processIdentifier, 0) == 0 || errno == EPERM)
    }
  }

  /// The name under which relaunches of this job go: the supervisor's, or the batch system's job number, which a
  /// requeued job keeps; nil if there is neither.
  public static var jobName: String? {
    let environment = ProcessInfo.processInfo.environment
    return environment["MERGEVQ_JOB"] ?? environment["SLURM_JOB_ID"].map { "slurm-\($0)" }
  }

  private let path: String
  private var file: Int32

  /// Locks a run directory, which must exist. Called by rank 0.
  /// - Parameters:
  ///   - directory: The run directory.
  ///   - holder: Who asks.
  ///   - patience: How long to wait for a predecessor that is just ending.
  /// - Throws: `RunDirectoryError.Reason.inUse` with the host and process of the job that trains there.
  public init(
    _ directory: RunDirectory, holder: Holder = .current(), patience: Duration = .seconds(2)
  ) throws(RunDirectoryError) {
    path = directory.lockPath
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw .system("open", path) }
    do throws(RunDirectoryError) {
      let isLocked = try Self.lock(file, path: path, patience: patience)
      let previous = try Self.holder(file, path: path)
      if isLocked == false || (isLocked == nil && previous?.isAlive(on: holder.host) == true) {
        let unknown = Holder(host: "unknown", processIdentifier: 0, since: "an unknown time")
        throw RunDirectoryError(
          path: path, .inUse(holder: previous ?? unknown, isOnThisHost: previous?.host == holder.host))
      }
      if let previous, previous.host != holder.host, previous.job == nil || previous.job != holder.job {
        throw RunDirectoryError(path: path, .inUse(holder: previous, isOnThisHost: false))
      }
      try write(holder)
    } catch {
      close(file)
      // The object is complete, so what follows is its deinit, which must not touch a descriptor that others may have now.
      file = -1
      throw error
    }
  }

  deinit { release() }

  /// Frees the directory for other jobs; further calls do nothing.
  public func release() {
    guard file >= 0 else { return }
    // The text must not outlive a job that ended in order. Should this fail, the next start on this host ignores it.
    _ = ftruncate(file, 0)
    close(file)
    file = -1
  }

  /// Whether the kernel's lock was free and is now ours; nil on file systems that have none.
  private static func lock(_ file: Int32, path: String, patience: Duration) throws(RunDirectoryError) -> Bool? {
    let deadline = ContinuousClock.now + patience
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      switch errno {
      case EWOULDBLOCK, EINTR:
        guard ContinuousClock.now < deadline else { return false }
        usleep(50_000)
      case ENOSYS, ENOLCK, EOPNOTSUPP:
        return nil
      default:
        throw .system("flock", path)
      }
    }
    return true
  }

  /// What the file says; nil if it is empty or was cut off by a crash.
  private static func holder(_ file: Int32, path: String) throws(RunDirectoryError) -> Holder? {
    let text = try readFully(file, path: path)
    do {
      return text.isEmpty ? nil : try JSONDecoder().decode(Holder.self, from: Data(text))
    } catch {
      return nil
    }
  }

  private func write(_ holder: Holder) throws(RunDirectoryError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text: Data
    do {
      text = try encoder.encode(holder)
    } catch {
      throw RunDirectoryError(path: path, .system(operation: "encoding the lock's holder", code: EINVAL))
    }
    guard ftruncate(file, 0) == 0, lseek(file, 0, SEEK_SET) == 0 else { throw .system("ftruncate", path) }
    try writeFully(file, Array(text)[...] + [UInt8(ascii: "\n")], path: path)
  }
}
