import Foundation
import Synchronization

/// Copies of archives on the node's own disk, made while training reads the originals.
///
/// The first read of an archive has it copied, from front to back, on a thread of its own; until the copy is complete,
/// images are read from the original, so training never waits for a copy. All processes of a node that name the same
/// folder share one copy of each archive. Copies together take at most `byteLimit` bytes: the ones that were not opened
/// for longest make room. The last process to leave removes them all; what a killed job left is removed by the next.
///
/// Its state is guarded by `state`, and a queue may be used from any thread, hence `@unchecked`.
public final class ShardStage: @unchecked Sendable {
  private let folder: String
  private let byteLimit: Int
  /// Locked by every process that uses the folder.
  private let lock: Int32
  private let copying = DispatchQueue(label: "shard stage", qos: .utility)
  private let state: Mutex<State> = Mutex(State())

  private struct State {
    /// Originals that were asked for, by path, and when their copies were last looked for.
    var asked: [String: ContinuousClock.Instant] = [:]
    var copiedByteCount = 0
    /// What went wrong first, and whether it was told.
    var problem: String?
    var isProblemTold = false
    var isClosed = false
  }

  /// Uses `folder/mergevq-stage` on this node.
  /// - Throws: `DataError` when the folder cannot be made or written.
  public init(folder parent: String, byteLimit: Int) throws(DataError) {
    folder = parent + "/mergevq-stage"
    self.byteLimit = byteLimit
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
      throw DataError(path: folder, reason: .unwritable(detail: systemReason()))
    }
    lock = open(folder + "/in-use", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw DataError(path: folder, reason: .unwritable(detail: systemReason())) }
    // Nobody else: what is there is a killed job's.
    if flock(lock, LOCK_EX | LOCK_NB) == 0 { removeCopies() }
    guard flock(lock, LOCK_SH) == 0 else {
      throw DataError(path: folder, reason: .unwritable(detail: "it cannot be locked: \(systemReason())"))
    }
  }

  /// Bytes that this process has copied.
  public var copiedByteCount: Int { state.withLock { $0.copiedByteCount } }

  /// Why a copy could not be made, once, for the first that failed; training goes on with the originals.
  public func drainProblem() -> String? {
    state.withLock { state in
      guard state.problem != nil, !state.isProblemTold else { return nil }
      state.isProblemTold = true
      return state.problem
    }
  }

  /// Stops copying and leaves; the last process removes all copies. To be called when no more images are needed.
  public func close() {
    let wasOpen = state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
    guard wasOpen else { return }
    copying.sync {}
    if flock(lock, LOCK_EX | LOCK_NB) == 0 {
      removeCopies()
      unlink(folder + "/in-use")
      rmdir(folder)
    }
    Foundation.close(lock)
  }

  /// The complete copy of an archive; `nil` while there is none, and then one is on its way.
  func copy(of file: DatasetOutline.File) -> String? {
    let path = copyPath(of: file)
    let (isNew, isDue) = state.withLock { state in
      if state.isClosed { return (false, false) }
      let asked = state.asked[file.path]
      // Another process may be copying it: looking again costs a system call.
      let isDue = asked.map { $0.duration(to: .now) > .milliseconds(200) } ?? true
      if isDue { state.asked[file.path] = .now }
      return (asked == nil, isDue)
    }
    guard isDue else { return nil }
    if access(path, R_OK) == 0 {
      // Now: the copies opened longest ago make room first.
      utimensat(AT_FDCWD, path, nil, 0)
      return path
    }
    if isNew { copying.async { self.makeCopy(of: file, to: path) } }
    return nil
  }

  /// One name for one state of one original.
  private func copyPath(of file: DatasetOutline.File) -> String {
    let key = checksum(of: Array("\(file.path) \(file.byteCount) \(file.modified)".utf8)[...])
    return folder + "/" + String(key, radix: 16) + ".tar"
  }

  private func makeCopy(of file: DatasetOutline.File, to path: String) {
    let partial = path + ".partial"
    let output = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { if output >= 0 { Foundation.close(output) } }
    do throws(DataError) {
      guard output >= 0 else { throw DataError(path: partial, reason: .unwritable(detail: systemReason())) }
      guard flock(output, LOCK_EX | LOCK_NB) == 0 else { return }  // another process copies it
      guard access(path, F_OK) != 0, try makeRoom(for: file.byteCount) else { return }
      let input = try OpenFile(file.path)
      guard input.byteCount == file.byteCount, ftruncate(output, 0) == 0 else { return }
      for offset in stride(from: 0, to: file.byteCount, by: 4 << 20) {
        if state.withLock({ $0.isClosed }) { break }
        let block = try input.read(at: offset, count: min(4 << 20, file.byteCount - offset), name: file.path)
        try writeAll(block, to: output, path: partial)
        state.withLock { $0.copiedByteCount += block.count }
      }
      var status = stat()
      let isComplete = fstat(output, &status) == 0 && status.st_size == file.byteCount
      guard isComplete, rename(partial, path) == 0 else {
        unlink(partial)
        return
      }
    } catch {
      state.withLock { $0.problem = $0.problem ?? error.description }
      unlink(partial)
    }
  }

  /// Removes copies, the ones opened longest ago first, until `byteCount` more bytes fit.
  /// - Returns: Whether they fit at all. A copy that is still open elsewhere keeps its place until it is closed.
  private func makeRoom(for byteCount: Int) throws(DataError) -> Bool {
    var copies: [DatasetOutline.File] = []
    for name in try FolderListing(of: folder).files where name.hasSuffix(".tar") || name.hasSuffix(".partial") {
      let path = folder + "/" + name
      // Another process may have removed it since.
      if access(path, F_OK) == 0 { copies.append(try DatasetOutline.File(path)) }
    }
    guard byteCount <= byteLimit else { return false }
    var used = copies.reduce(0) { $0 + $1.byteCount }
    for copy in copies.sorted(by: { $0.modified < $1.modified }) where copy.path.hasSuffix(".tar") {
      if used + byteCount <= byteLimit { break }
      unlink(copy.path)
      used -= copy.byteCount
    }
    return used + byteCount <= byteLimit
  }

  private func removeCopies() {
    do throws(DataError) {
      for name in try FolderListing(of: folder).files where name != "in-use" { unlink(folder + "/" + name) }
    } catch {
      // The folder is gone, and the copies with it.
    }
  }
}
