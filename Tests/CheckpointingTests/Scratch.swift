import Foundation
import Testing

@testable import Checkpointing

/// A directory that exists during a test.
final class Scratch: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "checkpointing-\(UUID().uuidString)").path()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    do { try FileSystem.remove(path) } catch { print("could not remove \(path): \(error)") }
  }
}

/// A small, fast, seeded generator (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A model as the trainer sees it: named parameters, one after the other in one arena of floats.
struct ToyModel {
  let parameters: [(key: String, shape: [Int])]
  /// Arbitrary bit patterns, NaN and negative zero among them: a checkpoint must not care what floats mean.
  var arena: [Float]

  init(
    parameters: [(key: String, shape: [Int])] = [
      ("encoder.weight", [3, 5]), ("encoder.bias", [7]), ("empty", [0, 4]), ("scale", []),
      ("decoder.weight", [2, 2, 3]),
    ], seed: UInt64 = 1
  ) {
    self.parameters = parameters
    var random = SeededGenerator(state: seed)
    let count = parameters.reduce(0) { $0 + $1.shape.reduce(1, *) }
    arena = (0..<count).map { _ in Float(bitPattern: UInt32.random(in: .min ... .max, using: &random)) }
    arena[0] = -0.0
    arena[1] = .nan
  }

  var shapes: [String: [Int]] { Dictionary(uniqueKeysWithValues: parameters.map { ($0.key, $0.shape) }) }

  /// The parameters' parts that lie in a range of the arena.
  func pieces(_ range: Range<Int>, of arena: UnsafeBufferPointer<Float>) -> [ParameterPiece] {
    var start = 0
    var pieces: [ParameterPiece] = []
    for parameter in parameters {
      let whole = start..<start + parameter.shape.reduce(1, *)
      let part = whole.clamped(to: range)
      // An empty parameter belongs to the range in which it starts.
      if !part.isEmpty || (whole.isEmpty && range.contains(start)) {
        let values = UnsafeBufferPointer(rebasing: arena[part.isEmpty ? start..<start : part])
        let offset = part.isEmpty ? 0 : part.lowerBound - start
        pieces.append(ParameterPiece(key: parameter.key, shape: parameter.shape, offset: offset, values: values))
      }
      start = whole.upperBound
    }
    return pieces
  }

  /// Saves model and optimizer, each rank its own range of the arena.
  func save(
    step: Int, ranges: [Range<Int>], to runDirectory: String,
    stageObserver: (@Sendable (CheckpointWriter.Stage) -> Void)? = nil
  ) throws {
    let writer = CheckpointWriter(runDirectory: runDirectory, step: step, stageObserver: stageObserver)
    try writer.prepare()
    var entries: [FileEntry] = []
    try arena.withUnsafeBufferPointer { arena in
      for (rank, range) in ranges.enumerated() {
        for kind in ["model", "optimizer"] {
          entries.append(
            try writer.writeShard(kind: kind, index: rank, of: ranges.count, pieces: pieces(range, of: arena)))
        }
      }
    }
    try writer.commit(manifest(step: step, worldSize: ranges.count, files: entries))
  }

  func save(
    step: Int, to runDirectory: String, stageObserver: (@Sendable (CheckpointWriter.Stage) -> Void)? = nil
  ) throws {
    try save(step: step, ranges: [0..<arena.count], to: runDirectory, stageObserver: stageObserver)
  }

  func manifest(step: Int, worldSize: Int = 1, files: [FileEntry] = []) -> CheckpointManifest {
    CheckpointManifest(
      step: step, cursor: step * 16, worldSize: worldSize, recipe: "name: toy\n", state: #"{"epoch":3}"#, files: files)
  }

  /// What a set of ranks reads back, each its own range, put together again.
  func restored(from checkpoint: CheckpointReader, kind: String, ranges: [Range<Int>]) throws -> [Float] {
    var restored = [Float](repeating: 0, count: arena.count)
    try restored.withUnsafeMutableBufferPointer { restored in
      for range in ranges {
        var start = 0
        for parameter in parameters {
          let whole = start..<start + parameter.shape.reduce(1, *)
          let part = whole.clamped(to: range)
          if !part.isEmpty {
            try checkpoint.read(
              kind: kind, key: parameter.key, range: part.lowerBound - start..<part.upperBound - start,
              into: UnsafeMutableBufferPointer(rebasing: restored[part]))
          }
          start = whole.upperBound
        }
      }
    }
    return restored
  }
}

extension [Float] {
  /// What must be identical, NaN included.
  var bits: [UInt32] { map(\.bitPattern) }
}
