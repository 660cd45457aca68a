import Evaluation
import Foundation
import Tensors
import Testing

/// Linear probe and nearest neighbours against their definitions.
struct ProbingTests {
  private func block(_ count: Int, features: Int, classes: Int, seed: UInt64) -> LinearProbe.Block {
    var random = SplitMix64(seed: seed)
    return LinearProbe.Block(
      features: (0..<count * features).map { _ in 2 * random.nextUnit() - 1 },
      labels: (0..<count).map { _ in Int32.random(in: 0..<Int32(classes), using: &random) })
  }

  /// Cross-entropy by the definition, in double precision.
  private func loss(_ probe: LinearProbe, _ parameters: [Double], _ block: LinearProbe.Block) -> Double {
    let (width, classes) = (probe.featureCount, probe.classCount)
    return block.labels.enumerated().reduce(0) { total, sample in
      let logits = (0..<classes).map { index -> Double in
        var logit = parameters[classes * width + index]
        for column in 0..<width {
          logit += parameters[index * width + column] * Double(block.features[sample.offset * width + column])
        }
        return logit
      }
      let sum: Double = logits.reduce(0) { $0 + exp($1) }
      return total + log(sum) - logits[Int(sample.element)]
    }
  }

  @Test func lossAndGradientFollowTheDefinition() {
    let block = block(11, features: 5, classes: 3, seed: 1)
    var random = SplitMix64(seed: 2)
    var probe = LinearProbe(featureCount: 5, classCount: 3, using: &random)
    for index in probe.parameters.indices { probe.parameters[index] = 2 * random.nextUnit() - 1 }
    let (gradient, found) = probe.gradient(of: block)
    let parameters = probe.parameters.map(Double.init)
    #expect(abs(found - loss(probe, parameters, block)) < 1e-5)
    for index in parameters.indices {
      var (above, below) = (parameters, parameters)
      above[index] += 1e-5
      below[index] -= 1e-5
      let slope = (loss(probe, above, block) - loss(probe, below, block)) / 2e-5
      #expect(abs(Double(gradient[index]) - slope) < 1e-4, "parameter \(index)")
    }
  }

  @Test func ranksCountTheClassesThatArePreferred() {
    var random = SplitMix64(seed: 3)
    var probe = LinearProbe(featureCount: 1, classCount: 4, using: &random)
    // Logits are 1, 3, 3, 2 for the feature 1.
    probe.parameters = [1, 3, 3, 2, 0, 0, 0, 0]
    let block = LinearProbe.Block(features: [1, 1, 1, 1], labels: [0, 1, 2, 3])
    #expect(probe.ranks(of: block) == [3, 0, 1, 2])
  }

  @Test func firstWeightsAreSmallAndBiasesZero() {
    var random = SplitMix64(seed: 4)
    let probe = LinearProbe(featureCount: 300, classCount: 20, using: &random)
    let weights = probe.parameters[probe.layers.weights]
    let deviation = (weights.reduce(0) { $0 + $1 * $1 } / Float(weights.count)).squareRoot()
    #expect(weights.allSatisfy { abs($0) <= 0.02 })
    // A normal distribution cut off at two deviations has 0.880 of its deviation.
    #expect(abs(deviation - 0.0088) < 0.0002, "\(deviation)")
    #expect(probe.parameters[probe.layers.bias].allSatisfy { $0 == 0 })
  }

  @Test func neighboursAreTheNearestWhateverTheOrderOfTheBank() {
    let width = 6
    let bank = block(90, features: width, classes: 5, seed: 5)
    let unit = NearestNeighbours.normalized(bank.features, featureCount: width)
    let queries = NearestNeighbours.normalized(
      block(7, features: width, classes: 5, seed: 6).features, featureCount: width)
    func search(_ starts: [Int]) -> [NearestNeighbours] {
      var found = [NearestNeighbours](repeating: NearestNeighbours(limit: 4), count: 7)
      for start in starts {
        NearestNeighbours.search(
          queries,
          among: LinearProbe.Block(
            features: Array(unit[start * width..<(start + 30) * width]), labels: Array(bank.labels[start..<start + 30])),
          firstIndex: start, featureCount: width, into: &found)
      }
      return found
    }
    let found = search([0, 30, 60])
    #expect(found == search([60, 0, 30]))
    for query in 0..<7 {
      let cosines = (0..<90).map { row -> Double in
        var cosine = 0.0
        for column in 0..<width {
          cosine += Double(queries[query * width + column]) * Double(unit[row * width + column])
        }
        return cosine
      }
      let expected = (0..<90).sorted { cosines[$0] > cosines[$1] }.prefix(4)
      #expect(found[query].neighbours.map { Int($0.index) } == Array(expected))
      #expect(found[query].neighbours.map(\.label) == expected.map { bank.labels[$0] })
    }
  }

  @Test func votesAreWeighedByNearness() {
    var nearest = NearestNeighbours(limit: 3)
    for (similarity, index, label) in [(0.9, 4, 2), (0.5, 1, 1), (0.8, 2, 1), (0.95, 9, 0), (0.95, 3, 3)] {
      nearest.insert(
        NearestNeighbours.Neighbour(similarity: Float(similarity), index: Int32(index), label: Int32(label)))
    }
    // Equal cosines: the earlier in the bank comes first.
    #expect(nearest.neighbours.map(\.index) == [3, 9, 4])
    // Classes 0 and 3 have equal votes, 2 has less, 1 has none.
    #expect((0..<4).map { nearest.rank(of: Int32($0), classCount: 4, temperature: 0.07) } == [0, 3, 2, 1])
    // Two votes of 0.8 and 0.7 outweigh one of 0.9 only where the temperature is high.
    var close = NearestNeighbours(limit: 3)
    for (similarity, label) in [(0.9, 0), (0.8, 1), (0.7, 1)] {
      close.insert(NearestNeighbours.Neighbour(similarity: Float(similarity), index: Int32(label), label: Int32(label)))
    }
    #expect(close.rank(of: 0, classCount: 2, temperature: 0.07) == 0)
    #expect(close.rank(of: 0, classCount: 2, temperature: 1) == 1)
  }
}
