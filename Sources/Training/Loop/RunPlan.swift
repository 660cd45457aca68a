import Checkpointing
import Foundation
import Layers
import Tensors

/// What a run would be: its resolved recipe, its parameters and the memory that a rank would need.
public struct RunPlan: Sendable {
  /// A named amount.
  public struct Item: Sendable, Equatable {
    /// What it is.
    public let name: String
    /// Parameters, or bytes.
    public let count: Int
  }

  /// Every key of the recipe.
  public let resolvedRecipe: String
  /// Parameters by part of the model.
  public let parameters: [Item]
  /// Bytes of the fullest rank by use.
  public private(set) var memory: [Item]
  /// Bytes that a rank sends in a step by use, if every rank were a node of its own; the least that reduce-scatter and
  /// all-gather need. Within a node they pass through shared memory instead.
  public let communication: [Item]
  /// Bytes of a checkpoint, and of the files of the fullest rank in it.
  public let storage: [Item]
  /// Bytes that are summed over all ranks in a step besides gradients.
  public let statisticsBytes: Int
  /// Floating-point operations of the matrix products in forward and backward of one sample (see `OperationCount`).
  public let operationsPerSample: Int
  /// Samples of a rank in one round of forward and backward.
  public let samplesPerRank: Int
  /// What the user should know besides, a sentence each.
  public let notices: [String]
  private let worldSize: Int

  /// A plan out of its parts.
  /// - Parameters:
  ///   - model: What is trained.
  ///   - programBytes: What the program occupied before it built the networks.
  ///   - round: What forward and backward of one round need on a rank.
  ///   - dataBytes: What a rank reads ahead.
  ///   - mappedBytes: Files that a rank maps; the system may drop what it needs for other things.
  ///   - frozenBytes: Networks that are used but not trained.
  ///   - samplingBytes: What the first rank needs besides while it draws samples.
  ///   - statisticsBytes: What is summed over all ranks in a step besides gradients.
  init(
    resolvedRecipe: String, model: some Module, worldSize: Int, samplesPerRank: Int, programBytes: Int,
    round: RoundCost, dataBytes: Int, mappedBytes: Int = 0, frozenBytes: Int = 0, samplingBytes: Int = 0,
    statisticsBytes: Int = 0,
    notices: [String] = []
  ) {
    self.notices = notices
    self.resolvedRecipe = resolvedRecipe
    self.worldSize = worldSize
    self.samplesPerRank = samplesPerRank
    self.statisticsBytes = statisticsBytes
    operationsPerSample = round.operationsPerSample
    parameters = Self.parts(of: model)
    let floats = model.parameterCount
    let share = (floats + worldSize - 1) / worldSize
    memory = [
      Item(name: "parameters", count: floats * 4),
      Item(name: "Adam's moments (own share)", count: share * 8),
      Item(name: "averaged weights (own share)", count: share * 4),
      Item(
        name: "copy for the checkpoint being written (own share)",
        count: share * 16 + min(share * 4, CheckpointWriter.bufferByteCount)),
      Item(
        name: round.keptGradientBytes > 0 ? "activations" : "activations and gradients", count: round.activationBytes),
      Item(name: "data read ahead", count: dataBytes),
      Item(name: "program and libraries", count: programBytes),
    ]
    if round.keptGradientBytes > 0 { memory.append(Item(name: "gradients", count: round.keptGradientBytes)) }
    if frozenBytes > 0 { memory.append(Item(name: "networks that are not trained", count: frozenBytes)) }
    if mappedBytes > 0 { memory.append(Item(name: "mapped files", count: mappedBytes)) }
    if samplingBytes > 0 {
      memory.append(Item(name: "samples at validations (the first rank)", count: samplingBytes))
    }
    communication = [
      Item(name: "gradients, reduce-scatter", count: (worldSize - 1) * share * 4),
      Item(name: "parameters, all-gather", count: (worldSize - 1) * share * 4),
      Item(name: "statistics, all-reduce", count: 2 * statisticsBytes * (worldSize - 1) / worldSize),
    ]
    storage = [
      Item(name: "whole", count: floats * 16), Item(name: "shards of a rank", count: share * 16),
    ]
  }

  /// Trained parameters.
  public var parameterCount: Int { parameters.map(\.count).reduce(0, +) }

  /// The plan as a user reads it.
  public var text: String {
    func table(_ items: [Item], _ format: (Int) -> String) -> String {
      let width = items.map(\.name.count).max() ?? 0
      return items.map { item in
        let padding = String(repeating: " ", count: width - item.name.count)
        return "  \(item.name)\(padding)  \(format(item.count))\n"
      }.joined()
    }
    let total = Item(name: "total", count: memory.map(\.count).reduce(0, +))
    let allParameters = Item(name: "total", count: parameterCount)
    return resolvedRecipe + "\nparameters\n"
      + table(parameters + [allParameters]) { String(format: "%9.3f M", Double($0) / 1e6) }
      + String(format: "\nforward and backward of an image: %.2f GFLOP\n", Double(operationsPerSample) / 1e9)
      + "\nmemory of a rank, one of \(worldSize), at \(samplesPerRank) images a round\n"
      + table(memory + [total]) { String(format: "%9.2f GiB", Double($0) / 1_073_741_824) }
      + "\nsent by a rank in a step\n" + table(communication) { String(format: "%9.2f MB", Double($0) / 1e6) }
      + "\ncheckpoint\n" + table(storage) { String(format: "%9.2f MB", Double($0) / 1e6) }
      + notices.map { "\nnote: \($0)\n" }.joined()
  }

  static func parts(of model: some Module) -> [Item] {
    var order: [String] = []
    var counts: [String: Int] = [:]
    model.forEachParameter { name, parameter in
      let part = String(name.prefix { $0 != "." })
      if counts[part] == nil { order.append(part) }
      counts[part, default: 0] += parameter.count
    }
    return order.map { Item(name: $0, count: counts[$0] ?? 0) }
  }
}
