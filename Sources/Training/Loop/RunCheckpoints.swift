public import Checkpointing
public import Collectives
import Foundation
import Tensors

/// Writes and finds the checkpoints of a run, with all ranks together.
///
/// A save blocks training only while every rank copies its ranges. A thread of each rank then writes and flushes its
/// shards; when all are done, a thread of rank 0 writes the manifest, gives the checkpoint its name, moves `latest` and
/// prunes. In between the training threads agree, at step boundaries, on how far that is: the writing threads never
/// communicate. At most one save is in flight.
public final class RunCheckpoints {
  /// How far the save in flight is; the same on every rank.
  private enum Phase {
    case idle
    /// Every rank writes its shards.
    case writing(BackgroundWork<[FileEntry]>, CheckpointWriter, CheckpointManifest)
    /// Rank 0 commits; the others have nothing to do.
    case committing(BackgroundWork<Void>?, CheckpointWriter)
  }

  private let folder: CheckpointFolder
  private let communicator: any Communicator
  private let retention: CheckpointRetention
  private let recipe: String
  private let observer: (@Sendable (CheckpointWriter.Stage) -> Void)?
  private let snapshot = WeightSnapshot()
  private var phase = Phase.idle

  /// The checkpoints of the run in `runDirectory`.
  /// - Parameters:
  ///   - runDirectory: Holds `checkpoints`.
  ///   - communicator: The ranks that write and read together.
  ///   - retention: Which checkpoints stay.
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

  /// Starts to save a checkpoint; training may go on at once. Collective.
  ///
  /// A save that is still in flight is finished first.
  /// - Returns: How long this rank copied.
  /// - Throws: On every rank alike if any rank failed; the previous checkpoint is still there then.
  @discardableResult
  public func begin(task: any TrainingTask, step: Int, cursor: Int) throws -> Duration {
    try finish()
    let state = try task.savedState()
    let writer = CheckpointWriter(runDirectory: folder.runDirectory, step: step, stageObserver: observer)
    try communicator.collectively(Self.activity(step)) { if communicator.isFirst { try writer.prepare() } }
    let manifest = CheckpointManifest(
      step: step, cursor: cursor, worldSize: communicator.worldSize, recipe: recipe, state: state, files: [])
    let start = ContinuousClock.now
    snapshot.copy(task.weights)
    let duration = ContinuousClock.now - start
    let (rank, worldSize) = (communicator.rank, communicator.worldSize)
    let work = BackgroundWork(named: "checkpoint") { [snapshot] in
      try ShardKind.allCases.map { kind in
        try writer.writeShard(kind: kind.rawValue, index: rank, of: worldSize, pieces: snapshot.pieces(kind))
      }
    }
    phase = .writing(work, writer, manifest)
    return duration
  }

  /// Takes the memory that copies need, so that the first save blocks no longer than the others.
  func reserveMemory(for task: any TrainingTask) { snapshot.copy(task.weights) }

  /// Whether this rank's thread is still busy with the save in flight.
  var isBusy: Bool {
    switch phase {
    case .idle: false
    case .writing(let work, _, _): !work.isFinished
    case .committing(let work, _): work.map { !$0.isFinished } ?? false
    }
  }

  /// Takes the save in flight one phase further, waiting for this rank's thread if it is busy. Collective; does nothing
  /// where no save is in flight.
  /// - Throws: On every rank alike if the thread of any rank failed; the previous checkpoint is still there then.
  func advance() throws {
    switch phase {
    case .idle: return
    case .writing(let work, let writer, let manifest):
      phase = .idle
      let outcome = work.wait()
      let entries: [FileEntry]
      do {
        let own = try communicator.collectively(Self.activity(writer.step)) { try JSONEncoder().encode(outcome.get()) }
        let texts = try communicator.allGather(bytes: Array(own))
        entries = try texts.flatMap { try JSONDecoder().decode([FileEntry].self, from: Data($0)) }
      } catch {
        if communicator.isFirst { try writer.abandon() }
        throw error
      }
      guard communicator.isFirst else { return phase = .committing(nil, writer) }
      var complete = manifest
      complete.files = entries
      phase = .committing(
        BackgroundWork(named: "checkpoint") { [complete, retention] in
          try writer.commit(complete)
          try writer.prune(keeping: retention)
        }, writer)
    case .committing(let work, let writer):
      phase = .idle
      let outcome = work?.wait() ?? .success(())
      try communicator.collectively(Self.activity(writer.step)) { try outcome.get() }
    }
  }

  /// Waits until no save is in flight. Collective.
  /// - Throws: As `advance`.
  public func finish() throws {
    while true {
      if case .idle = phase { return }
      try advance()
    }
  }

  private static func activity(_ step: Int) -> String { "saving the checkpoint of step \(step)" }

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
      let mismatches = checkpoint.mismatches(ofKind: ShardKind.model.rawValue, expecting: shapes)
      if !mismatches.isEmpty { throw IncompatibleCheckpoint(mismatches: mismatches.map(\.description)) }
      for weights in task.weights {
        for entry in weights.arena.entries {
          for kind in ShardKind.allCases {
            let part = kind == .model ? entry.range : entry.range.clamped(to: weights.ownRange)
            guard !part.isEmpty else { continue }
            let first = weights.ownRange.lowerBound
            let destination =
              kind == .model
              ? weights.arena.values[part]
              : weights.own(kind)[part.lowerBound - first..<part.upperBound - first]
            try checkpoint.read(
              kind: kind.rawValue, key: entry.name,
              range: part.lowerBound - entry.range.lowerBound..<part.upperBound - entry.range.lowerBound,
              into: UnsafeMutableBufferPointer(rebasing: destination))
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
