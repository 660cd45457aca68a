import Collectives
import Evaluation
import Foundation
import Kernels
import Optimizers
import Tensors

/// How a linear probe is trained.
public struct ProbeRecipe: Codable, Sendable, Equatable {
  /// Which optimizer.
  public enum Optimizer: String, Codable, Sendable, CaseIterable {
    /// LARS, trust coefficient 0.001: He et al. (2022), for large batches.
    case lars
    /// Momentum.
    case sgd
  }

  /// Which optimizer.
  public var optimizer = Optimizer.lars
  /// Passes over the training images.
  public var epochs = 90
  /// Passes of the linear warm-up from 0; a cosine to 0 follows.
  public var warmupEpochs = 10
  /// Images of a step, at least a block of 64.
  public var batchSize = 16_384
  /// For every 256 images of a step.
  public var learningRate = 0.1
  /// Of the weights.
  public var weightDecay = 0.0
  /// Decides the order of images and the first weights.
  public var seed: UInt64 = 0

  static let momentum = 0.9
  static let trustCoefficient = 0.001

  /// The recipe of He et al. (2022), without augmentation: features are computed once.
  public init() {}
}

/// Trains and judges linear probes with all ranks together.
///
/// Every step adds up the gradients of blocks exactly, so any number of ranks takes the same steps, bit for bit.
struct ProbeTraining {
  let recipe: ProbeRecipe
  let classCount: Int
  let communicator: any Communicator

  /// Trains a classifier of standardised features. Collective.
  /// - Returns: The classifier, and the mean cross-entropy of the last epoch in nats.
  /// - Throws: `NotFiniteFeatures` on every rank alike if it diverges.
  func probe(
    of features: ProbeFeatures, progress: (_ done: Int, _ count: Int) -> Void
  ) throws -> (probe: LinearProbe, loss: Double) {
    var random = SplitMix64(seed: recipe.seed, 0x7072_6f62)
    var probe = LinearProbe(featureCount: features.featureCount, classCount: classCount, using: &random)
    var optimizer = MomentumSGD(
      layers: [
        MomentumSGD.Layer(range: probe.layers.weights, isMatrix: true),
        MomentumSGD.Layer(range: probe.layers.bias, isMatrix: false),
      ], momentum: ProbeRecipe.momentum, weightDecay: recipe.weightDecay,
      trustCoefficient: recipe.optimizer == .lars ? ProbeRecipe.trustCoefficient : nil)
    let blocksPerStep = min(max(1, recipe.batchSize / ProbeFeatures.blockSize), features.blockCount)
    let stepsPerEpoch = (features.blockCount + blocksPerStep - 1) / blocksPerStep
    let batchSize = blocksPerStep * ProbeFeatures.blockSize
    let schedule = LearningRateSchedule(
      base: recipe.learningRate * Double(batchSize) / 256, totalSteps: recipe.epochs * stepsPerEpoch,
      warmupSteps: recipe.warmupEpochs * stepsPerEpoch, shape: .cosine(finalFactor: 0))
    var loss = 0.0
    var step = 0
    for epoch in 0..<recipe.epochs {
      let order = Array(0..<features.blockCount).shuffled(using: &random)
      loss = 0
      for start in stride(from: 0, to: order.count, by: blocksPerStep) {
        let numbers = order[start..<min(start + blocksPerStep, order.count)]
        let (gradient, stepLoss) = try self.gradient(of: probe, in: numbers, of: features)
        loss += stepLoss
        optimizer.step(&probe.parameters, gradients: gradient, learningRate: schedule.learningRate(at: step))
        step += 1
      }
      if communicator.isFirst { progress(epoch + 1, recipe.epochs) }
    }
    return (probe, loss / Double(features.imageCount))
  }

  /// The mean gradient over the images of some blocks, and the sum of their cross-entropies. Collective.
  private func gradient(
    of probe: LinearProbe, in numbers: ArraySlice<Int>, of features: ProbeFeatures
  ) throws -> (gradient: [Float], loss: Double) {
    let own = numbers.filter(features.blockRange.contains).map { features.blocks[$0 - features.blockRange.lowerBound] }
    var sums = ExactSums(count: probe.parameters.count + 1)
    // As many at a time as there are threads, so that few gradients are in memory.
    for start in stride(from: 0, to: own.count, by: Threads.count) {
      let blocks = own[start..<min(start + Threads.count, own.count)]
      let parts = computed(blocks) { block -> [Double] in
        let (gradient, loss) = probe.gradient(of: block)
        return gradient.map(Double.init) + [loss]
      }
      for part in parts { part.withUnsafeBufferPointer { sums.add($0) } }
    }
    try sums.gather(on: communicator)
    guard !sums.isBroken else { throw NotFiniteFeatures() }
    let count = numbers.reduce(0) { count, number in
      count + min(ProbeFeatures.blockSize, features.imageCount - number * ProbeFeatures.blockSize)
    }
    let values = sums.values
    return (values.dropLast().map { Float($0 / Double(count)) }, values.last ?? .nan)
  }

  /// The shares of images whose class is the first, and among the first five, of a classifier's. Collective.
  func accuracy(of probe: LinearProbe, on features: ProbeFeatures) throws -> ProbeAccuracy {
    try accuracy(ofRanks: computed(features.blocks[...]) { probe.ranks(of: $0) }.flatMap(\.self))
  }

  /// The same by the nearest neighbours among the training images' features. Collective.
  func accuracy(
    ofNeighbours count: Int, temperature: Double, bank: ProbeFeatures, queries: ProbeFeatures
  ) throws -> ProbeAccuracy {
    let width = bank.featureCount
    func normalized(_ blocks: [LinearProbe.Block]) -> [LinearProbe.Block] {
      blocks.map {
        LinearProbe.Block(
          features: NearestNeighbours.normalized($0.features, featureCount: width), labels: $0.labels)
      }
    }
    let (bankBlocks, own) = (normalized(bank.blocks), normalized(queries.blocks))
    // Every rank looks for the neighbours of all queries in its own part of the bank.
    let all = try communicator.concatenated(own.flatMap(\.features))
    let labels = try communicator.concatenated(own.flatMap(\.labels))
    let size = ProbeFeatures.blockSize
    let starts = Array(stride(from: 0, to: labels.count, by: size))
    let found = computed(starts[...]) { start -> [NearestNeighbours] in
      let range = start..<min(start + size, labels.count)
      var found = [NearestNeighbours](repeating: NearestNeighbours(limit: count), count: range.count)
      for (number, block) in zip(bank.blockRange, bankBlocks) {
        NearestNeighbours.search(
          Array(all[range.lowerBound * width..<range.upperBound * width]), among: block, firstIndex: number * size,
          featureCount: width, into: &found)
      }
      return found
    }.flatMap(\.self)
    // A rank with a small part of the bank has fewer neighbours than asked for.
    let ownNeighbours = found.map { $0.neighbours }
    let counts = ownNeighbours.map { Int32($0.count) }
    var merged = [NearestNeighbours](repeating: NearestNeighbours(limit: count), count: labels.count)
    let allCounts = try communicator.concatenated(counts)
    let allNeighbours = try communicator.concatenated(ownNeighbours.flatMap(\.self))
    var position = 0
    for (index, neighbours) in allCounts.enumerated() {
      for neighbour in allNeighbours[position..<position + Int(neighbours)] {
        merged[index % labels.count].insert(neighbour)
      }
      position += Int(neighbours)
    }
    // All ranks have all of it: each counts its own queries.
    let first = queries.blockRange.lowerBound * size
    let ranks = (first..<first + own.reduce(0) { $0 + $1.labels.count }).map {
      merged[$0].rank(of: labels[$0], classCount: classCount, temperature: temperature)
    }
    return try accuracy(ofRanks: ranks)
  }

  private func accuracy(ofRanks ranks: [Int]) throws -> ProbeAccuracy {
    var counts = [ranks.count, ranks.count { $0 < 1 }, ranks.count { $0 < 5 }].map(Int64.init)
    try communicator.allReduce(&counts, .sum)
    let total = Double(max(counts[0], 1))
    return ProbeAccuracy(top1: Double(counts[1]) / total, top5: classCount > 5 ? Double(counts[2]) / total : nil)
  }

  /// `body` of every element, side by side on this rank's threads.
  private func computed<Element, Value>(_ elements: ArraySlice<Element>, _ body: (Element) -> Value) -> [Value] {
    var values = [Value?](repeating: nil, count: elements.count)
    values.withUnsafeMutableBufferPointer { values in
      let base = values.baseAddress
      parallelFor(elements.count) { base?[$0] = body(elements[elements.startIndex + $0]) }
    }
    return values.compactMap(\.self)
  }
}

/// The shares of images whose class was found.
public struct ProbeAccuracy: Encodable, Sendable, Equatable {
  /// It was the first.
  public var top1: Double
  /// It was among the first five; nil where there are no more classes.
  public var top5: Double?
}
