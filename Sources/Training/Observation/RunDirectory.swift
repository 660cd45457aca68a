import Foundation

/// The folder of one run: resolved recipe, metrics, lock, checkpoints, pictures.
public struct RunDirectory: Sendable, Equatable {
  /// The folder itself.
  public let path: String

  /// Names the folder; nothing is created yet.
  public init(path: String) { self.path = path }

  /// The resolved recipe of the newest start.
  public var recipePath: String { path + "/config.yaml" }
  /// One JSON line per logged step, see `MetricsLog`.
  public var metricsPath: String { path + "/metrics.jsonl" }
  /// One JSON line per rank and step whose loss or gradients were not finite, see `NonFiniteRecord`.
  public var nonFinitePath: String { path + "/non-finite.jsonl" }
  /// What every rank did in the steps of `run.traceSteps`, see `ChromeTrace`.
  public var tracePath: String { path + "/trace.json" }
  /// The run on one page, see `RunReport`.
  public var reportPath: String { path + "/report.html" }
  /// Says which job trains here, see `RunLock`.
  public var lockPath: String { path + "/lock" }

  /// Creates the folder and its missing parents. Called by one rank.
  /// - Throws: `RunDirectoryError` with the system's reason.
  public func create() throws(RunDirectoryError) {
    // Not through Foundation, whose errors do not always carry the system's reason.
    let absolute = path.hasPrefix("/")
    var parent = ""
    for (index, part) in path.split(separator: "/").enumerated() {
      parent += (index > 0 || absolute ? "/" : "") + part
      guard mkdir(parent, 0o755) != 0 else { continue }
      let code = errno
      var status = stat()
      guard stat(parent, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw RunDirectoryError(path: path, .system(operation: "mkdir \(parent)", code: code))
      }
    }
  }

  /// Replaces `config.yaml` by a resolved recipe. Called by one rank.
  public func write(resolvedRecipe yaml: String) throws(RunDirectoryError) {
    try replaceFile(recipePath, with: Array(yaml.utf8))
  }
}

/// Replaces a file so that a reader, or a start after a power failure, sees the old or the new bytes, never a part.
func replaceFile(_ path: String, with bytes: [UInt8]) throws(RunDirectoryError) {
  let temporary = path + ".new"
  let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard file >= 0 else { throw .system("open", temporary) }
  do throws(RunDirectoryError) {
    try writeFully(file, bytes[...], path: temporary)
    guard fsync(file) == 0 else { throw .system("fsync", temporary) }
  } catch {
    close(file)
    unlink(temporary)
    throw error
  }
  guard close(file) == 0 else { throw .system("close", temporary) }
  guard rename(temporary, path) == 0 else { throw .system("rename", path) }
}

/// Writes all of `bytes` to an open file, however many calls it takes.
func writeFully(_ file: Int32, _ bytes: ArraySlice<UInt8>, path: String) throws(RunDirectoryError) {
  var rest = bytes
  while !rest.isEmpty {
    let written = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    guard written >= 0 || errno == EINTR else { throw .system("write", path) }
    rest = rest.dropFirst(max(0, written))
  }
}

/// Reads an open file from its start to its end.
func readFully(_ file: Int32, path: String) throws(RunDirectoryError) -> [UInt8] {
  guard lseek(file, 0, SEEK_SET) == 0 else { throw .system("lseek", path) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = buffer.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
    guard count >= 0 || errno == EINTR else { throw .system("read", path) }
    if count == 0 { return bytes }
    bytes += buffer.prefix(max(0, count))
  }
}
