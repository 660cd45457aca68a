public import Checkpointing
public import Collectives
import Foundation
import Tensors

/// Writes and finds the checkpoints of a run, with all ranks together.
public final class RunCheckpoints {
  private enum Kind: String, CaseIterable {
    case model
    case average = "ema"
    case firstMoment = "first-moment"
    case secondMoment = "second-moment"
  }

  private let folder: CheckpointFolder
  private let communicator: any Communicator
  private let retention: CheckpointRetention
  private let recipe: String
  private let observer: (@Sendable (CheckpointWriter.Stage) -> Void)?

  /// The checkpoints of the run in `runDirectory`.
  /// - Parameters:
  ///   - recipe: The resolved recipe, stored in every checkpoint.
  ///   - observer: Called at every stage of a write; for programs that test interruptions.
  public init(
    runDirectory: String, communicator: any Communicator, retention: CheckpointRetention, recipe: String,
    observer: (@Sendable (CheckpointWriter.Stage) -> Void)? = nil
  ) {
    folder = CheckpointFolder(runDirectory: runDirectory)
    self.communicator = communicator
    self.retention = retention
    self.recipe = recipe
    self.observer = observer
  }

  /// Saves a checkpoint. Collective: every rank writes its own ranges.
  /// - Throws: On every rank alike if any rank failed; the previous checkpoint is still there then.
  public func save(task: any TrainingTask, step: Int, cursor: Int) throws {
    let state = try task.savedState()
    let writer = CheckpointWriter(runDirectory: folder.runDirectory, step: step, stageObserver: observer)
    let activity = "saving the checkpoint of step \(step)"
    let isFirst = communicator.isFirst
    try communicator.collectively(activity) { if isFirst { try writer.prepare() } }
    let entries: [[FileEntry]]
    do {
      let own = try communicator.collectively(activity) { try self.writeShards(of: task, to: writer) }
      let texts = try communicator.allGather(bytes: Array(JSONEncoder().encode(own)))
      entries = try texts.map { try JSONDecoder().decode([FileEntry].self, from: Data($0)) }
    } catch {
      if isFirst { try writer.abandon() }
      throw error
    }
    try communicator.collectively(activity) {
      guard isFirst else { return }
      try writer.commit(
        CheckpointManifest(
          step: step, cursor: cursor, worldSize: communicator.worldSize, recipe: recipe, state: state,
          files: entries.flatMap(\.self)))
      try writer.prune(keeping: retention)
    }
  }

  private func writeShards(of task: any TrainingTask, to writer: CheckpointWriter) throws -> [FileEntry] {
    try Kind.allCases.map { kind in
      let pieces = task.weights.flatMap { weights in
        weights.arena.entries.compactMap { entry -> ParameterPiece? in
          let part = entry.range.clamped(to: weights.ownRange)
          guard !part.isEmpty else { return nil }
          return ParameterPiece(
            key: entry.name, shape: entry.parameter.shape, offset: part.lowerBound - entry.range.lowerBound,
            values: UnsafeBufferPointer(Self.floats(kind, of: weights, arenaRange: part)))
        }
      }
      return try writer.writeShard(
        kind: kind.rawValue, index: communicator.rank, of: communicator.worldSize, pieces: pieces)
    }
  }

  /// The floats of `arenaRange`, which must lie in the rank's own range except for the model's values.
  private static func floats(
    _ kind: Kind, of weights: ShardedWeights, arenaRange: Range<Int>
  ) -> UnsafeMutableBufferPointer<Float> {
    let start = weights.ownRange.lowerBound
    let local = arenaRange.lowerBound - start..<arenaRange.upperBound - start
    return switch kind {
    case .model: UnsafeMutableBufferPointer(rebasing: weights.arena.values[arenaRange])
    case .average: UnsafeMutableBufferPointer(rebasing: weights.average[local])
    case .firstMoment: UnsafeMutableBufferPointer(rebasing: weights.optimizer.firstMoments[local])
    case .secondMoment: UnsafeMutableBufferPointer(rebasing: weights.optimizer.secondMoments[local])
    }
  }

  /// A checkpoint to go on from.
  public struct Resumption {
    /// The checkpoint, opened.
    public let checkpoint: CheckpointReader
    /// Why newer ones were passed over, newest first.
    public let rejected: [String]
  }

  /// The newest checkpoint whose every byte is as written, or nil if there is none; clears away leftovers of
  /// interrupted writes. Collective: the ranks share the reading.
  public func newest() throws -> (resumption: Resumption?, rejected: [String]) {
    try communicator.collectively("clearing away interrupted checkpoints") {
      if communicator.isFirst { try folder.removeLeftovers() }
    }
    // Rank 0's listing counts: on a network file system another rank's may lag behind.
    let candidates = try communicator.collectively("listing the checkpoints") { try folder.candidates() }
    let steps = try communicator.broadcast(candidates.map { String($0.step) }.joined(separator: " "))
    var rejected: [String] = []
    for step in steps.split(separator: " ").compactMap({ Int($0) }) {
      switch try verified(folder.directory(ofStep: step)) {
      case .success(let checkpoint): return (Resumption(checkpoint: checkpoint, rejected: rejected), rejected)
      case .failure(let problem): rejected.append(problem.text)
      }
    }
    return (nil, rejected)
  }

  /// Opens and verifies one checkpoint. Collective.
  /// - Throws: `PeerFailure` with what is wrong with it.
  public func opened(_ directory: String) throws -> CheckpointReader {
    switch try verified(directory) {
    case .success(let checkpoint): checkpoint
    case .failure(let problem): throw problem.failure
    }
  }

  private struct Problem: Error {
    let failure: PeerFailure
    var text: String { failure.failures[0].message }
  }

  private func verified(_ directory: String) throws -> Result<CheckpointReader, Problem> {
    do {
      return .success(
        try communicator.collectively("verifying \(directory)") {
          let checkpoint = try CheckpointReader(directory: directory)
          if let problem = checkpoint.problems(share: communicator.rank, of: communicator.worldSize).first {
            throw problem
          }
          return checkpoint
        })
    } catch let failure as PeerFailure {
      return .failure(Problem(failure: failure))
    }
  }

  /// Restores weights, averages, moments and the task's state. Collective; any world size reads any checkpoint.
  /// - Throws: `PeerFailure` naming every parameter that is missing or has another shape.
  public func load(_ checkpoint: CheckpointReader, into task: any TrainingTask) throws {
    try communicator.collectively("loading \(checkpoint.directory)") {
      var shapes: [String: [Int]] = [:]
      for entry in task.weights.flatMap(\.arena.entries) { shapes[entry.name] = entry.parameter.shape }
      let mismatches = checkpoint.mismatches(ofKind: Kind.model.rawValue, expecting: shapes)
      if !mismatches.isEmpty { throw IncompatibleCheckpoint(mismatches: mismatches.map(\.description)) }
      for weights in task.weights {
        for entry in weights.arena.entries {
          for kind in Kind.allCases {
            let part = kind == .model ? entry.range : entry.range.clamped(to: weights.ownRange)
            guard !part.isEmpty else { continue }
            try checkpoint.read(
              kind: kind.rawValue, key: entry.name,
              range: part.lowerBound - entry.range.lowerBound..<part.upperBound - entry.range.lowerBound,
              into: Self.floats(kind, of: weights, arenaRange: part))
          }
        }
        weights.optimizer.completedSteps = checkpoint.manifest.step
      }
      try task.restore(state: checkpoint.manifest.state)
    }
  }
}

/// A checkpoint of another model.
public struct IncompatibleCheckpoint: ExitStatusError, CustomStringConvertible {
  /// One line per parameter that differs.
  public let mismatches: [String]

  /// As for every unusable checkpoint.
  public var exitStatus: Int32 { 74 }

  /// The first few, and how many there are.
  public var description: String {
    let more = mismatches.count > 3 ? "\n… and \(mismatches.count - 3) more" : ""
    return mismatches.prefix(3).joined(separator: "\n") + more
      + "\nThe checkpoint belongs to another recipe: use that recipe, or another run.directory"
  }
}
