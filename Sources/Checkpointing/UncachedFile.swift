import Dispatch
import Foundation

/// A new file whose blocks go to the disk beside the page cache, on a thread of their own, while the caller prepares
/// the next block.
///
/// A checkpoint is read at most once, after a failure. In the page cache it would take memory from training and drive
/// out its images. Where the file system cannot write past the cache, the blocks go through it. The file removes itself
/// unless `finish` is reached.
final class UncachedFile: @unchecked Sendable {
  // `writing`, `failure` and `isDirect` belong to the thread of `queue` while a write is in flight, and to the caller
  // after `awaitWrite`.

  let path: String
  private var descriptor: Int32
  private var filling = UncachedFile.block()
  private var writing = UncachedFile.block()
  private var filledCount = 0
  private var isDirect = false
  private var failure: CheckpointError?
  private let queue = DispatchQueue(label: "file writes")
  private let inFlight = DispatchGroup()

  /// Large enough for a parallel file system to write a block to several servers at once.
  static let blockByteCount = 8 << 20
  /// What direct writes ask of memory, offset and length on every usual disk.
  private static let alignment = 4096

  /// Linux' flag for writes beside the page cache, which Glibc's module leaves out.
  #if arch(arm64) || arch(arm)
    private static let directFlag: Int32 = 0o200000
  #else
    private static let directFlag: Int32 = 0o40000
  #endif

  // Pages that a small file never touches take no memory.
  private static func block() -> UnsafeMutableRawBufferPointer {
    .allocate(byteCount: blockByteCount, alignment: alignment)
  }

  /// Creates or empties the file.
  init(creating path: String) throws(CheckpointError) {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileSystem.failure("open", path) }
  }

  deinit {
    inFlight.wait()
    filling.deallocate()
    writing.deallocate()
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(path)
  }

  /// Appends bytes; a failure to write them may show at a later call.
  func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    var start = 0
    while start < bytes.count {
      let part = bytes.region(start..<min(bytes.count, start + Self.blockByteCount - filledCount))
      UnsafeMutableRawBufferPointer(rebasing: filling[filledCount...]).copyMemory(from: part)
      filledCount += part.count
      start += part.count
      if filledCount == Self.blockByteCount { try handOver() }
    }
  }

  /// Flushes everything to the disk and closes the file.
  func finish() throws(CheckpointError) {
    try awaitWrite()
    // What is left is no whole number of disk blocks.
    setDirect(false)
    write(UnsafeRawBufferPointer(rebasing: filling[..<filledCount]))
    try awaitWrite()
    guard fsync(descriptor) == 0 else { throw FileSystem.failure("fsync", path) }
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else {
      let error = FileSystem.failure("close", path)
      unlink(path)
      throw error
    }
  }

  private func handOver() throws(CheckpointError) {
    try awaitWrite()
    swap(&filling, &writing)
    filledCount = 0
    queue.async(group: inFlight) { [self] in
      setDirect(true)
      write(UnsafeRawBufferPointer(writing))
    }
  }

  private func awaitWrite() throws(CheckpointError) {
    inFlight.wait()
    if let failure { throw failure }
  }

  private func setDirect(_ direct: Bool) {
    guard direct != isDirect else { return }
    let flags = fcntl(descriptor, F_GETFL)
    isDirect = fcntl(descriptor, F_SETFL, direct ? flags | Self.directFlag : flags & ~Self.directFlag) == 0 && direct
  }

  private func write(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    while !rest.isEmpty {
      let written = Foundation.write(descriptor, rest.baseAddress, rest.count)
      if written < 0 {
        let code = errno
        if code == EINTR { continue }
        guard code == EINVAL, isDirect else {
          failure = CheckpointError(path: path, .system(operation: "write", code: code))
          return
        }
        setDirect(false)
        continue
      }
      rest = rest.region(written..<rest.count)
      if !rest.count.isMultiple(of: Self.alignment) { setDirect(false) }
    }
  }
}
