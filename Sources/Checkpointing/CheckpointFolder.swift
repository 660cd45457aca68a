/// The checkpoints of one run: `RUN/checkpoints/step-00000120` and so on.
///
/// A checkpoint has its final name only when it is complete. Names ending in `.partial` are checkpoints being written
/// or removed; they are never read, and `removeLeftovers` clears them away when a run starts.
public struct CheckpointFolder: Sendable {
  /// What a name ends with while it is not yet, or no longer, to be relied on.
  static let partialSuffix = ".partial"
  /// What the name of a checkpoint ends with while another one of the same step takes its place.
  static let replacedSuffix = ".replaced"
  static let latestName = "latest"

  /// The run's directory.
  public let runDirectory: String

  /// The folder itself: `RUN/checkpoints`.
  public var path: String { runDirectory + "/checkpoints" }

  /// The checkpoints of the run in `runDirectory`, which need not exist yet.
  public init(runDirectory: String) {
    self.runDirectory = runDirectory
  }

  /// The directory of the checkpoint of one step, present or not.
  public func directory(ofStep step: Int) -> String {
    "\(path)/step-\(zeroPadded(step, 8))"
  }

  /// Every checkpoint under its final name, newest first, good or bad.
  /// - Throws: `CheckpointError` if the folder cannot be listed.
  public func candidates() throws(CheckpointError) -> [(step: Int, directory: String)] {
    try FileSystem.names(in: path)
      .compactMap { name in Self.step(ofName: name).map { (step: $0, directory: "\(path)/\(name)") } }
      .sorted { $0.step > $1.step }
  }

  /// A checkpoint to resume from, and what was passed over on the way to it.
  public struct Selection {
    /// The newest good checkpoint, or nil if there is none.
    public let checkpoint: CheckpointReader?
    /// Why each newer one was rejected, newest first.
    public let rejected: [CheckpointError]
  }

  /// Finds the newest checkpoint whose every byte is as written.
  ///
  /// Reads every file of the checkpoints it looks at. Where many ranks share that work, go through `candidates` and
  /// `CheckpointReader.problems(share:of:)` instead.
  /// - Throws: `CheckpointError` if the folder cannot be listed.
  public func latestComplete() throws(CheckpointError) -> Selection {
    var rejected: [CheckpointError] = []
    for candidate in try candidates() {
      do throws(CheckpointError) {
        let checkpoint = try CheckpointReader(directory: candidate.directory)
        try checkpoint.verify()
        return Selection(checkpoint: checkpoint, rejected: rejected)
      } catch {
        rejected.append(error)
      }
    }
    return Selection(checkpoint: nil, rejected: rejected)
  }

  /// Clears away what interrupted writers left behind. Call it on one rank, before looking for a checkpoint.
  /// - Returns: The removed paths.
  /// - Throws: `CheckpointError` if something cannot be removed.
  @discardableResult
  public func removeLeftovers() throws(CheckpointError) -> [String] {
    var removed: [String] = []
    for name in try FileSystem.names(in: path) {
      let leftover = "\(path)/\(name)"
      if name.hasSuffix(Self.replacedSuffix) {
        let original = String(leftover.dropLast(Self.replacedSuffix.count))
        guard FileSystem.isDirectory(original) else {
          // Killed after the old checkpoint stepped aside and before the new one took its name.
          try FileSystem.rename(leftover, to: original)
          continue
        }
      } else if !name.hasSuffix(Self.partialSuffix) {
        continue
      }
      try FileSystem.remove(leftover)
      removed.append(leftover)
    }
    return removed
  }

  /// The step of a checkpoint's final name, or nil if the name is another one.
  private static func step(ofName name: String) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0 else { return nil }
    // Exactly the name that a writer would give, so that no two names mean one step.
    return name == "step-\(zeroPadded(step, 8))" ? step : nil
  }
}
