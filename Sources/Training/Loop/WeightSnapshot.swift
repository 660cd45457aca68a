import Checkpointing
import Kernels
import Tensors

/// What the floats of a checkpoint's shard are.
enum ShardKind: String, CaseIterable, Sendable {
  case model
  case average = "ema"
  case firstMoment = "first-moment"
  case secondMoment = "second-moment"
}

/// A copy of what this rank must save, so that training goes on while a thread writes it.
///
/// It keeps its memory between copies: 16 bytes for every parameter of the rank's own range.
final class WeightSnapshot: @unchecked Sendable {
  // Written by the training thread in `copy`, read by the writing thread until that is done: never both at once, which
  // `RunCheckpoints` sees to.

  /// A run of floats of one parameter, and where its copy begins.
  private struct Piece {
    let key: String
    let shape: [Int]
    let offset: Int
    let start: Int
    let count: Int
  }

  /// The copy of one set of weights.
  private struct Copy {
    let storage: Storage
    let pieces: [Piece]
    let floatCount: Int
  }

  private var copies: [Copy] = []

  /// A snapshot without memory yet.
  init() {}

  /// Copies this rank's ranges of all kinds. Takes as long as memory needs for it.
  func copy(_ weights: [ShardedWeights]) {
    if copies.isEmpty { copies = weights.map(Self.layout) }
    for (copy, weights) in zip(copies, weights) {
      for (index, kind) in ShardKind.allCases.enumerated() {
        let source = weights.own(kind)
        guard let from = source.baseAddress else { continue }
        let to = copy.storage.pointer + index * copy.floatCount
        let share = (source.count + Threads.count - 1) / Threads.count
        // The memory is raw floats that nobody else touches; the chunks are disjoint.
        nonisolated(unsafe) let (target, origin) = (to, UnsafePointer(from))
        parallelChunks(source.count, of: max(share, 1 << 16)) {
          (target + $0.lowerBound).update(from: origin + $0.lowerBound, count: $0.count)
        }
      }
    }
  }

  private static func layout(of weights: ShardedWeights) -> Copy {
    let own = weights.ownRange
    let pieces = weights.arena.entries.compactMap { entry -> Piece? in
      let part = entry.range.clamped(to: own)
      guard !part.isEmpty else { return nil }
      return Piece(
        key: entry.name, shape: entry.parameter.shape, offset: part.lowerBound - entry.range.lowerBound,
        start: part.lowerBound - own.lowerBound, count: part.count)
    }
    return Copy(
      storage: Storage(count: ShardKind.allCases.count * own.count), pieces: pieces, floatCount: own.count)
  }

  /// The copied pieces of one kind; their memory is the snapshot's.
  func pieces(_ kind: ShardKind) -> [ParameterPiece] {
    let index = ShardKind.allCases.firstIndex(of: kind) ?? 0
    return copies.flatMap { copy in
      copy.pieces.map { piece in
        ParameterPiece(
          key: piece.key, shape: piece.shape, offset: piece.offset,
          values: UnsafeBufferPointer(
            start: copy.storage.pointer + index * copy.floatCount + piece.start, count: piece.count))
      }
    }
  }
}

extension ShardedWeights {
  /// The floats of a kind in this rank's own range.
  func own(_ kind: ShardKind) -> UnsafeMutableBufferPointer<Float> {
    switch kind {
    case .model: UnsafeMutableBufferPointer(rebasing: arena.values[ownRange])
    case .average: average
    case .firstMoment: optimizer.firstMoments
    case .secondMoment: optimizer.secondMoments
    }
  }
}
