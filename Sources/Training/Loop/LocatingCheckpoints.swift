import Checkpointing
import Foundation

/// The checkpoint directory that a user means: the directory itself, or the newest good one of a run directory.
/// - Throws: `CheckpointError` if a run has none that is good; `ConfigError` if there is neither.
public func locateCheckpoint(_ path: String) throws -> String {
  if FileManager.default.fileExists(atPath: path + "/manifest.json") { return path }
  let selection = try CheckpointFolder(runDirectory: path).latestComplete()
  if let checkpoint = selection.checkpoint { return checkpoint.directory }
  if let reason = selection.rejected.first { throw reason }
  throw ConfigError(
    origin: path, problem: "there is no checkpoint here; name a run directory or one of its checkpoints/step-…")
}
