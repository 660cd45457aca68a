import Foundation

/// A file or folder that a command is going to make: looked at before any work, so that nobody waits for a refusal.
public struct NewOutput: Sendable {
  /// Where it will be.
  public let path: String

  /// Checks that nothing is there and that its folder is.
  /// - Throws: `ConfigError` naming the path.
  public init(_ path: String) throws(ConfigError) {
    self.path = path
    guard access(path, F_OK) != 0 else {
      throw ConfigError(origin: path, problem: "exists already; remove it, or name another output")
    }
    let folder = (path as NSString).deletingLastPathComponent
    var status = stat()
    guard stat(folder.isEmpty ? "." : folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw ConfigError(origin: path, problem: "cannot be written: there is no folder '\(folder)'; make it first")
    }
    guard access(folder.isEmpty ? "." : folder, W_OK) == 0 else {
      throw ConfigError(origin: path, problem: "cannot be written: '\(folder)' may not be written to")
    }
  }
}
