import Checkpointing
import Collectives
import DataLoading
import Foundation
import MPI
import Tensors
import Training

/// Weights without a model: enough for checkpoints and updates.
final class PlainTask: TrainingTask {
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
