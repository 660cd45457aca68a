import Checkpointing
public import Collectives

/// Whether every byte of checkpoints is as it was written.
public struct CheckpointVerification: Sendable {
  /// A line per checkpoint or file that is good, and per thing worth knowing; on rank 0 only.
  public let notes: [String]
  /// A line per problem.
  public let problems: [String]

  /// Reads every byte of a checkpoint, of all checkpoints of a run, or the structure of a weight file. Collective: the
  /// ranks share the reading.
  /// - Throws: `PeerFailure` with a `ConfigError` if there is nothing to verify.
  public init(path: String, on communicator: any Communicator) throws {
    var problems: [String] = []
    let (own, directories) = try communicator.collectively("verifying \(path)") {
      if isRegularFile(path) { return (Self.problems(ofFile: path), [String]()) }
      let directories = try checkpointDirectories(path)
      return (
        directories.flatMap { directory in
          CheckpointReader.problems(
            inDirectory: directory, share: communicator.rank, of: communicator.worldSize
          ).map(\.description)
        }, directories
      )
    }
    for text in try communicator.allGather(own.joined(separator: "\u{0}")) where !text.isEmpty {
      problems += text.split(separator: "\u{0}").map(String.init).filter { !problems.contains($0) }
    }
    let isFirst = communicator.isFirst
    notes = try communicator.collectively("looking at \(path)") {
      guard isFirst else { return [String]() }
      if directories.isEmpty && problems.isEmpty { return ["good: \(path)"] }
      return try directories.flatMap { directory in
        if problems.contains(where: { $0.hasPrefix(directory) }) { return [String]() }
        let checkpoint = try CheckpointReader(directory: directory)
        let byteCount = checkpoint.manifest.files.reduce(0) { $0 + $1.byteCount }
        return ["good: \(directory), \(checkpoint.manifest.files.count) files, \(byteCount) bytes"]
          + (try checkpoint.extraFiles().map { "note: \($0)" })
      }
    }
    self.problems = problems
  }

  private static func problems(ofFile path: String) -> [String] {
    do {
      _ = try WeightFile.open(path)
      return []
    } catch {
      return ["\(error)"]
    }
  }
}

/// What `verify` found; every rank throws it alike.
public struct DamagedCheckpoint: AgreedError, CustomStringConvertible {
  private let problems: [String]

  /// With one line per problem.
  public init(problems: [String]) { self.problems = problems }

  /// As for every unusable checkpoint.
  public var exitStatus: Int32 { 74 }
  /// Every problem on a line of its own.
  public var description: String { problems.joined(separator: "\n") }
}
