import Foundation

/// The system calls of this room, with failures as `CheckpointError`.
///
/// Foundation's file manager would hide the `errno` that tells a full disk from a missing permission.
enum FileSystem {
  /// Creates a directory and its missing parents; an existing directory is fine.
  static func createDirectory(_ path: String) throws(CheckpointError) {
    if mkdir(path, 0o777) == 0 || (errno == EEXIST && isDirectory(path)) { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw failure("mkdir", path)
    }
    try createDirectory(String(path[..<slash]))
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw failure("mkdir", path) }
  }

  /// The names in a directory, sorted; empty if the directory does not exist.
  static func names(in directory: String) throws(CheckpointError) -> [String] {
    guard let stream = opendir(directory) else {
      if errno == ENOENT { return [] }
      throw failure("opendir", directory)
    }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw failure("readdir", directory) }
    return names.sorted()
  }

  static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The length of a file in bytes, or nil if there is none.
  static func byteCount(of path: String) throws(CheckpointError) -> Int? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw failure("stat", path)
    }
    return Int(status.st_size)
  }

  static func rename(_ source: String, to destination: String) throws(CheckpointError) {
    guard Foundation.rename(source, destination) == 0 else { throw failure("rename", source) }
  }

  /// Removes a file or a directory with everything in it; what is already gone is fine.
  static func remove(_ path: String) throws(CheckpointError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw failure("lstat", path)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      guard unlink(path) == 0 || errno == ENOENT else { throw failure("unlink", path) }
      return
    }
    for name in try names(in: path) { try remove("\(path)/\(name)") }
    guard rmdir(path) == 0 || errno == ENOENT else { throw failure("rmdir", path) }
  }

  /// Makes the names in a directory survive a power failure.
  static func synchronizeDirectory(_ path: String) throws(CheckpointError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure("fsync", path) }
  }

  /// Replaces a small text file so that a reader sees the old or the new text, never a part.
  static func replaceFile(_ path: String, with text: String) throws(CheckpointError) {
    let file = try HashingFile(creating: path + CheckpointFolder.partialSuffix)
    try file.write(text)
    _ = try file.finish()
    try rename(file.path, to: path)
  }

  static func failure(_ operation: String, _ path: String) -> CheckpointError {
    CheckpointError(path: path, .system(operation: operation, code: errno))
  }
}
