/// Which checkpoints of a run to keep.
public struct CheckpointRetention: Sendable, Equatable, Codable {
  /// How many of the newest to keep; at least one.
  public var last: Int
  /// Keep those whose step is a multiple of this for good; nil keeps none beyond `last`.
  public var every: Int?

  /// Keeps the newest `last` checkpoints and all whose step is a multiple of `every`.
  public init(last: Int, every: Int? = nil) {
    self.last = max(1, last)
    self.every = every
  }

  /// Whether the checkpoint of `step` stays, being number `position` (from zero, newest first) of the good ones.
  func keeps(step: Int, position: Int) -> Bool {
    if position < max(1, last) { return true }
    guard let every, every > 0 else { return false }
    return step.isMultiple(of: every)
  }
}

extension CheckpointWriter {
  /// Removes old checkpoints. On one rank, after `commit`.
  ///
  /// Only checkpoints with a readable manifest and all files at full length count and are removed. Damaged ones
  /// neither count as kept nor are touched, so the newest good one always stays.
  /// - Returns: The removed directories.
  /// - Throws: `CheckpointError` if one cannot be removed; it is not listed as a checkpoint any more then.
  @discardableResult
  public func prune(keeping retention: CheckpointRetention) throws(CheckpointError) -> [String] {
    var goodCount = 0
    var removed: [String] = []
    for candidate in try folder.candidates() {
      guard CheckpointReader.isReadable(candidate.directory) else { continue }
      defer { goodCount += 1 }
      guard !retention.keeps(step: candidate.step, position: goodCount) else { continue }
      stageObserver?(.beforePrune(candidate.directory))
      // First the name, in one step: a half-removed checkpoint must not look like one.
      let doomed = candidate.directory + CheckpointFolder.partialSuffix
      try FileSystem.remove(doomed)
      try FileSystem.rename(candidate.directory, to: doomed)
      stageObserver?(.pruning(candidate.directory))
      try FileSystem.remove(doomed)
      removed.append(candidate.directory)
    }
    return removed
  }
}
