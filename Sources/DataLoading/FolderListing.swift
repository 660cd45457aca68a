import Foundation

/// What stands under a path.
enum FileKind {
  case file
  case folder
  case other

  /// Follows symbolic links.
  /// - Throws: `DataError` when there is nothing, or it may not be looked at.
  init(at path: String) throws(DataError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw DataError(path: path, reason: errno == ENOENT ? .missing : .unreadable(detail: systemReason()))
    }
    self = FileKind(mode: status.st_mode)
  }

  fileprivate init(mode: mode_t) {
    self =
      switch mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .folder
      default: .other
      }
  }
}

/// The visible entries of one folder, files and folders apart, each sorted by the bytes of their names.
struct FolderListing {
  private(set) var files: [String] = []
  private(set) var folders: [String] = []

  /// - Throws: `DataError` when the folder cannot be read.
  init(of path: String) throws(DataError) {
    guard let folder = opendir(path) else {
      throw DataError(path: path, reason: errno == ENOENT ? .missing : .unreadable(detail: systemReason()))
    }
    defer { closedir(folder) }
    while true {
      errno = 0
      guard let entry = readdir(folder) else {
        if errno != 0 { throw DataError(path: path, reason: .unreadable(detail: systemReason())) }
        break
      }
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasPrefix(".") { continue }
      switch kind(of: entry.pointee.d_type, at: path + "/" + name) {
      case .file: files.append(name)
      case .folder: folders.append(name)
      case .other: break
      }
    }
    files.sort(by: precedes)
    folders.sort(by: precedes)
  }
}

/// The kind as the folder states it; only links and file systems that leave it open cost a look at the file.
private func kind(of type: UInt8, at path: String) -> FileKind {
  switch Int(type) {
  case Int(DT_REG): return .file
  case Int(DT_DIR): return .folder
  case Int(DT_LNK), Int(DT_UNKNOWN):
    var status = stat()
    // A link that leads nowhere is not an image.
    return stat(path, &status) == 0 ? FileKind(mode: status.st_mode) : .other
  default: return .other
  }
}

/// Byte order, the same in every locale.
func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

/// Whether a name says image; what is inside decides how it is decoded.
func hasImageExtension(_ name: some StringProtocol) -> Bool {
  hasExtension(name, among: ["jpeg", "jpg", "png"])
}

/// Whether a name says tar archive.
func hasTarExtension(_ name: some StringProtocol) -> Bool { hasExtension(name, among: ["tar"]) }

private func hasExtension(_ name: some StringProtocol, among extensions: [String]) -> Bool {
  let name = Substring(name)
  guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
  return extensions.contains(name[dot...].dropFirst().lowercased())
}
