import Tensors
import Testing

struct TokenMergingTests {
  @Test func theMostSimilarPairsMergeAndSurvivorsComeFirst() {
    // Five tokens: A = positions 0, 2, 4 and B = positions 1, 3. Token 4 is closest to 3, token 2 to 1 but less so.
    let metric = Tensor([1, 0, 0, 1, 0.6, 0.8, 0.8, -0.6, 0.8, -0.6], shape: [1, 5, 2])
    let plan = mergePlan(metric: metric, count: 1)
    #expect(plan.keptCount == 4)
    #expect(plan.groupIndex == [0, 2, 1, 3, 3])
    #expect(mergePlan(metric: metric, count: 2).groupIndex == [0, 1, 1, 2, 2])
    #expect(mergePlan(metric: metric, count: 0).groupIndex == [0, 3, 1, 4, 2])
  }

  @Test func theClassTokenIsProtectedAndTiesGoToTheFirst() {
    // All tokens alike: position 2 is the first proposal after the class token, and position 1 the first partner.
    let metric = Tensor([Float](repeating: 1, count: 7), shape: [1, 7, 1])
    #expect(mergePlan(metric: metric, count: 1).groupIndex == [0, 3, 3, 4, 1, 5, 2])
    #expect(mergePlan(metric: metric, count: 3).groupIndex == [0, 1, 1, 2, 1, 3, 1])
  }

  @Test func aPlanMatchesTheReferenceOnRandomMetrics() {
    for (length, count) in [(2, 0), (3, 1), (10, 4), (65, 20), (64, 31)] {
      let metric = randomTensors([3, length, 8], seed: UInt64(length))[0]
      let plan = mergePlan(metric: metric, count: count)
      for sample in 0..<3 {
        let values = Array(metric.values[sample * length * 8..<(sample + 1) * length * 8])
        let groups = Array(plan.groupIndex[sample * length..<(sample + 1) * length])
        #expect(groups == referenceGroups(values, length: length, count: count))
      }
    }
  }

  @Test func plansFollowOneAnother() {
    let metric = randomTensors([2, 9, 4])[0]
    let first = mergePlan(metric: metric, count: 3)
    let second = mergePlan(metric: randomTensors([2, 6, 4], seed: 5)[0], count: 2)
    let composed = second.following(first.groupIndex)
    for token in 0..<18 {
      #expect(composed[token] == second.groupIndex[token / 9 * 6 + Int(first.groupIndex[token])])
    }
    #expect(Set(composed[0..<9]) == [0, 1, 2, 3])
  }

  @Test func mergedTokensAreWeightedAverages() {
    let plan = mergePlan(
      metric: Tensor([1, 0, 0, 1, 0.6, 0.8, 0.8, -0.6, 0.8, -0.6], shape: [1, 5, 2]), count: 1)
    let (tokens, sizes) = mergeTokens(
      Tensor([1, 2, 3, 4, 10], shape: [1, 5, 1]), sizes: [1, 1, 1, 1, 2], plan: plan)
    #expect(tokens.values == [1, 3, 2, 8])  // (4 + 2·10)/3
    #expect(sizes == [1, 1, 1, 3])
    #expect(mergeTokens(tokens, sizes: sizes, plan: mergePlan(metric: tokens, count: 0)).sizes == [1, 1, 1, 3])
  }

  @Test func mergingGradient() {
    let metric = randomTensors([2, 11, 4])[0]
    let plan = mergePlan(metric: metric, count: 4)
    let sizes = (0..<22).map { Float($0 % 3 + 1) }
    expectGradient(
      of: {
        mergeTokens($0[0], sizes: sizes, plan: plan).tokens + mergeTokens(2 * $0[0], sizes: sizes, plan: plan).tokens
      },
      at: randomTensors([2, 11, 5], seed: 2))
  }

  @Test func meanKeysAreUnitMeansOfTheKeyHeads() {
    let (heads, size) = (3, 4)
    let qkv = randomTensors([2, 5, 36])[0]
    let metric = meanKeys(qkv: qkv.trackingGradient, heads: heads)
    #expect(metric.node == nil)
    for row in 0..<10 {
      let mean = (0..<size).map { channel in
        (0..<heads).reduce(0.0) { $0 + Double(qkv.values[row * 36 + 12 + $1 * size + channel]) }
      }
      let norm = mean.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let values = Array(metric.values[row * size..<(row + 1) * size])
      #expect(largestDifference(values, mean.map { $0 / norm }) < 1e-6)
    }
  }
}

/// Bipartite soft matching of one sample by its definition.
private func referenceGroups(_ metric: [Float], length: Int, count: Int) -> [Int32] {
  let size = metric.count / length
  func similarity(_ a: Int, _ b: Int) -> Double {
    (0..<size).reduce(0) { $0 + Double(metric[a * size + $1]) * Double(metric[b * size + $1]) }
  }
  let odd = Array(stride(from: 1, to: length, by: 2))
  let proposals = stride(from: 2, to: length, by: 2).map { token in
    (token, odd.max { similarity(token, $0) < similarity(token, $1) } ?? 1)
  }
  let merged = proposals.sorted { similarity($0.0, $0.1) > similarity($1.0, $1.1) }.prefix(count)
  let survivors = stride(from: 0, to: length, by: 2).filter { token in !merged.contains { $0.0 == token } }
  let kept = survivors + odd
  return (0..<length).map { token in
    let home = merged.first { $0.0 == token }?.1 ?? token
    return Int32(kept.firstIndex(of: home) ?? -1)
  }
}
