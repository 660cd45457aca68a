/// How ranks lie on nodes and cores.
public struct JobShape: Codable, Sendable, Equatable {
  /// How many ranks there are.
  public var worldSize: Int
  /// Ranks of a full node.
  public var ranksPerNode: Int
  /// Threads that a rank computes with.
  public var threadsPerRank: Int
  /// Cores of a machine.
  public var coresPerMachine: Int
  /// Nodes that share a machine and its cores: 1, but for virtual clusters.
  public var nodesPerMachine: Int

  /// Describes a job.
  public init(
    worldSize: Int, ranksPerNode: Int, threadsPerRank: Int = 1, coresPerMachine: Int, nodesPerMachine: Int = 1
  ) {
    self.worldSize = worldSize
    self.ranksPerNode = ranksPerNode
    self.threadsPerRank = threadsPerRank
    self.coresPerMachine = coresPerMachine
    self.nodesPerMachine = nodesPerMachine
  }

  /// How many nodes the ranks fill.
  public var nodeCount: Int { (worldSize + ranksPerNode - 1) / ranksPerNode }
  /// Ranks of the fullest node.
  public var ranksOfFullestNode: Int { min(ranksPerNode, worldSize) }
  /// Threads that compute on the fullest machine.
  private var threadsOfMachine: Int { min(ranksPerNode * nodesPerMachine, worldSize) * threadsPerRank }

  /// How many threads share a core: at least 1. Computing takes that much longer.
  public var oversubscription: Double { max(1, Double(threadsOfMachine) / Double(coresPerMachine)) }

  /// How busy the machine's other cores are while one computes: 0 if it is alone, 1 if all are.
  public var load: Double {
    guard coresPerMachine > 1 else { return 0 }
    return Double(min(threadsOfMachine, coresPerMachine) - 1) / Double(coresPerMachine - 1)
  }
}

/// What a training step computes and sends, whatever computes it.
public struct StepWork: Codable, Sendable, Equatable {
  /// Floating-point operations of forward and backward of a sample.
  public var operationsPerSample: Double
  /// Trained parameters, 4 bytes each.
  public var parameterCount: Int
  /// Bytes that are summed over all ranks in a round besides gradients.
  public var statisticsBytes: Int
  /// Rounds of forward and backward in a step.
  public var rounds: Int

  /// Describes a step.
  public init(operationsPerSample: Double, parameterCount: Int, statisticsBytes: Int, rounds: Int = 1) {
    self.operationsPerSample = operationsPerSample
    self.parameterCount = parameterCount
    self.statisticsBytes = statisticsBytes
    self.rounds = rounds
  }

  /// Bytes of all parameters, and of all gradients.
  public var parameterBytes: Double { 4 * Double(parameterCount) }

  /// Bytes of memory that a rank's update touches: all gradients once for their norm; of its own share, gradients,
  /// weights, both moments and the average, read, and all but the gradients written, and the norm once more.
  public func updateBytes(worldSize: Int) -> Double { parameterBytes * (1 + 10 / Double(worldSize)) }
}
