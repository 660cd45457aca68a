import Foundation
import Synchronization

/// Folders that the tests of a suite share. They are removed when the process ends: nothing else knows when the last of
/// the tests is done.
enum SharedFolder {
  private static let all = Mutex<[URL]>([])
  private static let removal: Void = {
    _ = atexit {
      for folder in SharedFolder.all.withLock({ $0 }) {
        do { try FileManager.default.removeItem(at: folder) } catch { perror("cleaning up \(folder.path)") }
      }
    }
  }()

  /// A new, empty folder.
  static func create(_ name: String) throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(component: "\(name)-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    all.withLock { $0.append(folder) }
    _ = removal
    return folder
  }
}
