import Collectives
import Evaluation
import Foundation
import Tensors
import Testing

@testable import Training

/// Linear probes and neighbours over ranks, on features whose classes are known.
struct ProbeTests {
  /// Samples around one centre a class, `spread` wide, in blocks as the rank holds them.
  private static func features(
    _ count: Int, classes: Int, spread: Float, seed: UInt64, rank: Int, worldSize: Int
  ) -> ProbeFeatures {
    let width = 8
    var centers = SplitMix64(seed: 7)
    let places = (0..<classes * width).map { _ in 2 * centers.nextUnit() - 1 }
    var random = SplitMix64(seed: seed)
    let labels = (0..<count).map { _ in Int32.random(in: 0..<Int32(classes), using: &random) }
    var values: [Float] = []
    for label in labels {
      for column in 0..<width {
        let noise: Float = 2 * random.nextUnit() - 1
        values.append(places[Int(label) * width + column] + spread * noise + 3)
      }
    }
    let size = ProbeFeatures.blockSize
    let blockCount = (count + size - 1) / size
    let own = blockCount * rank / worldSize..<blockCount * (rank + 1) / worldSize
    return ProbeFeatures(
      featureCount: width, imageCount: count, blockRange: own,
      blocks: own.map { number in
        let range = number * size..<min(count, (number + 1) * size)
        return LinearProbe.Block(
          features: Array(values[range.lowerBound * width..<range.upperBound * width]), labels: Array(labels[range]))
      }, pixels: "")
  }

  private struct Outcome: Equatable {
    var linear, neighbours, onTraining: ProbeAccuracy
    var loss: Double
    var parameters: [Float]
  }

  /// Probes with that many ranks; the outcomes of all of them.
  private static func outcomes(
    ranks: Int, spread: Float, optimizer: ProbeRecipe.Optimizer = .sgd, classes: Int = 6
  ) throws -> [Outcome] {
    try LoopbackWorld.run(worldSize: ranks) { communicator in
      var recipe = ProbeRecipe()
      (recipe.optimizer, recipe.epochs, recipe.warmupEpochs, recipe.batchSize) = (optimizer, 20, 2, 128)
      recipe.learningRate = optimizer == .sgd ? 0.5 : 50
      let training = ProbeTraining(recipe: recipe, classCount: classes, communicator: communicator)
      let place = (rank: communicator.rank, worldSize: communicator.worldSize)
      var bank = features(
        450, classes: classes, spread: spread, seed: 1, rank: place.rank, worldSize: place.worldSize)
      var queries = features(
        200, classes: classes, spread: spread, seed: 2, rank: place.rank, worldSize: place.worldSize)
      let neighbours = try training.accuracy(ofNeighbours: 20, temperature: 0.07, bank: bank, queries: queries)
      let moments = try bank.moments(on: communicator)
      bank.standardize(moments)
      queries.standardize(moments)
      let (probe, loss) = try training.probe(of: bank) { _, _ in }
      return Outcome(
        linear: try training.accuracy(of: probe, on: queries), neighbours: neighbours,
        onTraining: try training.accuracy(of: probe, on: bank), loss: loss, parameters: probe.parameters)
    }
  }

  @Test(arguments: ProbeRecipe.Optimizer.allCases)
  func separableClassesAreFoundAndRanksDoNotMatter(optimizer: ProbeRecipe.Optimizer) throws {
    let one = try Self.outcomes(ranks: 1, spread: 0.2, optimizer: optimizer)
    #expect(one[0].linear.top1 > 0.99 && one[0].onTraining.top1 > 0.99, "\(one[0].linear), loss \(one[0].loss)")
    #expect(one[0].neighbours.top1 == 1 && one[0].neighbours.top5 == 1)
    // More ranks than some have blocks.
    for ranks in [3, 5] {
      #expect(try Self.outcomes(ranks: ranks, spread: 0.2, optimizer: optimizer).allSatisfy { $0 == one[0] })
    }
  }

  @Test func classesThatOverlapAreFoundInPart() throws {
    let outcome = try Self.outcomes(ranks: 2, spread: 3)[0]
    for accuracy in [outcome.linear, outcome.neighbours] {
      #expect((0.2..<0.9).contains(accuracy.top1), "\(accuracy)")
      #expect(accuracy.top1 < accuracy.top5 ?? 0)
    }
    #expect(outcome.loss < log(6.0))
  }

  @Test func fiveClassesHaveNoTopFive() throws {
    #expect(try Self.outcomes(ranks: 1, spread: 0.2, classes: 5)[0].linear.top5 == nil)
  }

  @Test func standardisedFeaturesHaveMeanZeroAndDeviationOne() throws {
    var features = Self.features(450, classes: 6, spread: 1, seed: 3, rank: 0, worldSize: 1)
    let communicator = SingleCommunicator()
    features.standardize(try features.moments(on: communicator))
    let (mean, deviation) = try features.moments(on: communicator)
    #expect(mean.allSatisfy { abs($0) < 1e-5 } && deviation.allSatisfy { abs($0 - 1) < 1e-4 })
    features.blocks[2].features[5] = .infinity
    #expect(throws: NotFiniteFeatures.self) { try features.moments(on: communicator) }
  }

  @Test func impossibleOptionsAreNamed() {
    let changes: [(String, (inout TokenizerProbe.Options) -> Void)] = [
      ("--epochs 0", { $0.recipe.epochs = 0 }), ("--warmup-epochs 90", { $0.recipe.warmupEpochs = 90 }),
      ("--batch 63", { $0.recipe.batchSize = 63 }), ("--learning-rate nan", { $0.recipe.learningRate = .nan }),
      ("--weight-decay -1.0", { $0.recipe.weightDecay = -1 }), ("--neighbours 0", { $0.neighbours = 0 }),
      ("--temperature 0.0", { $0.temperature = 0 }),
    ]
    for (origin, change) in changes {
      var options = TokenizerProbe.Options(train: "a", validation: "b")
      change(&options)
      #expect { try options.validate() } throws: { ($0 as? ConfigError)?.origin == origin }
    }
  }
}
