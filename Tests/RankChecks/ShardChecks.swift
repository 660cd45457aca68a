import Checkpointing
import Collectives
import DataLoading
import Foundation
import MPI
import Tensors
import Training

/// Weights without a model: enough for checkpoints and updates.
private final class PlainTask: TrainingTask {
  let weights: [ShardedWeights]
  private let communicator: any Communicator

  /// Parameters of the given sizes, the same on every rank.
  init(_ communicator: any Communicator, counts: [Int]) {
    self.communicator = communicator
    let parameters = counts.enumerated().map { index, count in
      let values = (0..<count).map { Float(($0 * 7919 + index * 31) % 1009) / 1009 - 0.5 }
      return (name: "layer\(index).weight", parameter: Parameter(Tensor(values, shape: [count])))
    }
    var config = OptimizerConfig()
    config.clipNorm = 1
    config.emaDecay = 0.9
    weights = [
      ShardedWeights(
        parameters, config: config, schedule: config.learningRateSchedule(totalSteps: 10, stepsPerEpoch: 10),
        communicator: communicator)
    ]
  }

  /// One update by made-up gradients, different on every rank and in every step.
  func step(_ step: Int) throws {
    let weights = weights[0]
    weights.arena.startStep()
    weights.arena.finishGradients()
    for index in 0..<weights.arena.count {
      weights.arena.gradients[index] = Float((index * 31 + step * 17 + communicator.rank * 7) % 101) / 101 - 0.4
    }
    let sum = try communicator.allReduce(weights.reduceGradients(), .sum)
    _ = try weights.update(step: step, sumOfSquares: sum)
  }

  func accumulateGradients(
    _ batch: ImageBatch, step: Int, round: Int, of rounds: Int
  ) throws -> [(name: String, value: Double)] { [] }
  func intervalMetrics() throws -> [(name: String, value: Double)] { [] }
  func validate() throws -> [(name: String, value: Double)] { [] }
  func savedState() -> String { "{}" }
  func restore(state: String) {}
}

/// Sizes that no number of ranks divides, one of them far larger than a rank's share, one smaller than the alignment.
private let counts = [1003, 17, 1, 4099, 33]

private func checkpoints(_ directory: String, _ communicator: any Communicator) -> RunCheckpoints {
  RunCheckpoints(
    runDirectory: directory, communicator: communicator, retention: CheckpointRetention(last: 3), recipe: "a: 1\n")
}

/// `reshard TO [FROM]`: writes a checkpoint of step 3, after three updates or as the one of another run has it.
func reshard(_ communicator: any Communicator, _ arguments: [String]) throws {
  try expect(!arguments.isEmpty, "usage: reshard TO [FROM]")
  let task = PlainTask(communicator, counts: counts)
  if arguments.count > 1 {
    guard let resumption = try checkpoints(arguments[1], communicator).newest().resumption else {
      throw CheckFailure(description: "no checkpoint in \(arguments[1])")
    }
    try checkpoints(arguments[1], communicator).load(resumption.checkpoint, into: task)
  } else {
    for step in 0..<3 { try task.step(step) }
  }
  let target = checkpoints(arguments[0], communicator)
  try target.begin(task: task, step: 3, cursor: 24)
  // The checkpoint holds what was there when it began, whatever comes meanwhile.
  for values in task.weights.map(\.average) { values.update(repeating: .nan) }
  try target.finish()
}

/// `saving DIRECTORY MILLION-PARAMETERS`: how long a save blocks training, beside a copy of as many bytes, and how fast
/// it reaches the disk, beside `dd` with fsync; three rounds by turns.
func printSavingSpeed(_ communicator: any Communicator, _ arguments: [String]) throws {
  guard arguments.count == 2, let millions = Int(arguments[1]) else {
    throw CheckFailure(description: "usage: saving DIRECTORY MILLION-PARAMETERS")
  }
  let task = PlainTask(communicator, counts: Array(repeating: 1_000_000, count: millions))
  let own = task.weights[0].ownRange.count * 16
  let bytes = Double(try communicator.allReduce(Int64(own), .sum))
  let saves = checkpoints(arguments[0], communicator)
  let source = UnsafeMutableRawPointer.allocate(byteCount: own, alignment: 64)
  let target = UnsafeMutableRawPointer.allocate(byteCount: own, alignment: 64)
  defer {
    source.deallocate()
    target.deallocate()
  }
  for memory in [source, target] { memory.initializeMemory(as: UInt8.self, repeating: 1, count: own) }
  func timed(_ body: () throws -> Void) throws -> Double {
    try communicator.barrier()
    let start = ContinuousClock.now
    try body()
    return try communicator.allReduce((ContinuousClock.now - start) / .seconds(1), .max)
  }
  for round in 1...4 {
    let copy = try timed { target.copyMemory(from: source, byteCount: own) }
    let start = ContinuousClock.now
    let blocked = try timed { try saves.begin(task: task, step: round, cursor: 0) }
    try saves.finish()
    let total = (ContinuousClock.now - start) / .seconds(1)
    guard communicator.isFirst else { continue }
    let dd = Process()
    dd.executableURL = URL(filePath: "/bin/dd")
    dd.arguments = ["if=/dev/zero", "of=\(arguments[0])/dd", "bs=1M", "count=\(Int(bytes) >> 20)", "conv=fsync"]
    dd.standardError = FileHandle.nullDevice
    let ddStart = ContinuousClock.now
    try dd.run()
    dd.waitUntilExit()
    let ddTime = (ContinuousClock.now - ddStart) / .seconds(1)
    unlink("\(arguments[0])/dd")
    let kind = round == 1 ? "first save, with fresh memory" : "save \(round)"
    print(
      String(
        format: "%@: %.2f GB; copy %.3f s, blocked %.3f s; written in %.2f s, %.2f GB/s; dd %.2f s, %.2f GB/s", kind,
        bytes / 1e9, copy, blocked, total, bytes / total / 1e9, ddTime, bytes / ddTime / 1e9))
  }
}

/// `shares`: what an update costs each rank, in bytes: sent to other nodes, and held by optimizer and average. Every
/// rank pretends to be a node.
func printShares(_ communicator: any Communicator, _ arguments: [String]) throws {
  guard let world = communicator as? MPICommunicator else { throw CheckFailure(description: "needs mpirun") }
  let nodes = try world.divided(ranksPerNode: 1, windowByteLimit: 1 << 20)
  let task = PlainTask(nodes, counts: [160_000 * 12])
  try task.step(0)
  let before = nodes.sentByteCount
  try task.step(1)
  // The step also adds up one number over the ranks, in shares of 16 numbers: all of it with the first rank.
  let sent = try communicator.allGather(Int64(nodes.sentByteCount - before))
  let weights = task.weights[0]
  let held = [weights.optimizer.firstMoments, weights.optimizer.secondMoments, weights.average]
    .map { $0.count * MemoryLayout<Float>.stride }.reduce(0, +)
  let memory = try communicator.allGather(Int64(held))
  if communicator.isFirst {
    print("parameters: \(weights.arena.count * MemoryLayout<Float>.stride)")
    print("sent: " + sent.map(String.init).joined(separator: " "))
    print("held: " + memory.map(String.init).joined(separator: " "))
  }
}
