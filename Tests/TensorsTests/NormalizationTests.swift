import Kernels
import Layers
import Tensors
import Testing

struct NormalizationTests {
  /// Samples, positions, channels, groups: one and two channels per group, odd and full vectors, several chunks.
  static let shapes = [(1, 1, 4, 2), (2, 5, 6, 6), (2, 7, 6, 3), (3, 33, 64, 32), (1, 1300, 32, 32), (2, 70, 96, 32)]

  @Test(arguments: shapes, [NormActivation.none, .silu])
  func groupNormAndItsGradientsMatchTheirDefinition(shape: (Int, Int, Int, Int), activation: NormActivation) {
    let (batch, positions, channels, groups) = shape
    let inputs = randomTensors([batch, positions, channels], [channels], [channels], in: -2...3)
    let dY = randomTensors([batch, positions, channels], seed: 5)[0]
    let leaves = inputs.map(\.trackingGradient)
    let y = groupNorm(
      leaves[0], groups: groups, weight: leaves[1], bias: leaves[2], epsilon: 1e-6, activation: activation)
    y.backward(from: dY)
    let (weight, bias) = (inputs[1].values, inputs[2].values)
    let expected = NormalizationReference(
      inputs[0], dY: dY, groups: groups, epsilon: 1e-6, silu: activation == .silu
    ) { channel, _ in (Double(weight[channel]), Double(bias[channel])) }
    #expect(largestDifference(y.values, expected.y) < 5e-6)
    #expect(largestDifference(leaves[0].gradient.values, expected.dX) < 5e-6)
    let dWeight = expected.overSamples(expected.dWeight, channels: channels)
    let dBias = expected.overSamples(expected.dBias, channels: channels)
    let scale = Double(batch * positions).squareRoot()
    #expect(largestDifference(leaves[1].gradient.values, dWeight) < 2e-6 * scale)
    #expect(largestDifference(leaves[2].gradient.values, dBias) < 2e-6 * scale)
  }

  @Test(arguments: shapes.dropFirst(), [NormActivation.none, .silu])
  func groupNormGradients(shape: (Int, Int, Int, Int), activation: NormActivation) {
    let (batch, positions, channels, groups) = shape
    let inputs = randomTensors([batch, positions, channels], [channels], [channels], in: -2...3)
    expectGradient(
      of: { groupNorm($0[0], groups: groups, weight: $0[1], bias: $0[2], activation: activation) }, at: inputs)
    expectGradient(of: { groupNorm($0[0], groups: groups, activation: activation) }, at: [inputs[0]])
  }

  @Test func groupNormGradientsAddToWhatIsThere() {
    let inputs = randomTensors([2, 9, 8], [8], [8])
    expectGradient(
      of: {
        groupNorm($0[0], groups: 4, weight: $0[1], bias: $0[2], activation: .silu)
          + groupNorm($0[0], groups: 2, weight: $0[1], bias: $0[2])
      }, at: inputs)
  }

  @Test func groupNormKeepsItsDigitsFarFromZero() {
    // Mean 1000, deviation 0.3: E[x²] − E[x]² in float32 would lose the variance altogether.
    let x = Tensor(randomTensors([1, 4096, 4])[0].values.map { 1000 + 0.5 * $0 }, shape: [1, 4096, 4])
    let y = groupNorm(x, groups: 2, epsilon: 1e-6)
    let expected = NormalizationReference(x, groups: 2, epsilon: 1e-6)
    #expect(largestDifference(y.values, expected.y) < 2e-4)  // half a unit in the last place of the mean
  }

  @Test func groupNormDoesNotDependOnTheNumberOfThreads() {
    let inputs = randomTensors([2, 700, 64], [64], [64])
    func run(threads: Int) -> [[Float]] {
      Threads.configure(count: threads)
      let leaves = inputs.map(\.trackingGradient)
      let y = groupNorm(leaves[0], groups: 32, weight: leaves[1], bias: leaves[2], activation: .silu)
      y.backward(from: inputs[0])
      return [y.values] + leaves.map(\.gradient.values)
    }
    defer { Threads.configure(count: Threads.affinityCount) }
    #expect(run(threads: 1) == run(threads: 3))
  }

  @Test func adaptiveGroupNormMatchesItsDefinitionAndGradient() {
    let inputs = randomTensors([2, 3, 3, 64], [2, 64], [2, 64])
    let dY = randomTensors([2, 3, 3, 64], seed: 5)[0]
    let leaves = inputs.map(\.trackingGradient)
    let y = adaptiveGroupNorm(leaves[0], scale: leaves[1], shift: leaves[2])
    y.backward(from: dY)
    let (scale, shift) = (inputs[1].values, inputs[2].values)
    let expected = NormalizationReference(inputs[0], dY: dY, groups: 32, epsilon: 1e-6) { channel, sample in
      (Double(scale[sample * 64 + channel]), Double(shift[sample * 64 + channel]))
    }
    #expect(largestDifference(y.values, expected.y) < 5e-6)
    #expect(largestDifference(leaves[0].gradient.values, expected.dX) < 5e-6)
    #expect(largestDifference(leaves[1].gradient.values, expected.dWeight) < 5e-6)
    #expect(largestDifference(leaves[2].gradient.values, expected.dBias) < 5e-6)
    expectGradient(of: { adaptiveGroupNorm($0[0], scale: $0[1], shift: $0[2]) }, at: inputs)
  }

  @Test func channelMomentsMatchTheirDefinitionAndGradient() {
    let z = Tensor([1, 10, 3, 10, 8, 40], shape: [1, 3, 2])
    let moments = channelMoments(z, epsilon: 0)
    #expect(moments.mean.values == [4, 20])
    #expect(moments.deviation.values == [Float(13).squareRoot(), Float(300).squareRoot()])
    let inputs = randomTensors([3, 7, 5])
    expectGradient(of: { channelMoments($0[0]).deviation }, at: inputs)
    expectGradient(of: { channelMoments($0[0]).mean }, at: inputs)
    expectGradient(of: { channelMoments($0[0]).mean * channelMoments($0[0]).deviation }, at: inputs)
  }

  @Test(arguments: [(1, 3), (5, 17), (130, 64), (3, 768)])
  func rowNormsAndTheirGradientsMatchTheirDefinition(rows: Int, channels: Int) {
    let inputs = randomTensors([rows, channels], [channels], [channels], in: -1...2)
    let dY = randomTensors([rows, channels], seed: 5)[0]
    let (weight, bias) = (inputs[1].values, inputs[2].values)

    for isCentred in [true, false] {
      let leaves = inputs.map(\.trackingGradient)
      let y =
        isCentred
        ? layerNorm(leaves[0], weight: leaves[1], bias: leaves[2]) : rmsNorm(leaves[0], weight: leaves[1])
      y.backward(from: dY)
      let expected = NormalizationReference(
        inputs[0], dY: dY, groups: 1, epsilon: 1e-5, isCentred: isCentred
      ) { channel, _ in (Double(weight[channel]), isCentred ? Double(bias[channel]) : 0) }
      #expect(largestDifference(y.values, expected.y) < 2e-6)
      #expect(largestDifference(leaves[0].gradient.values, expected.dX) < 5e-6)
      let dWeight = expected.overSamples(expected.dWeight, channels: channels)
      let dBias = expected.overSamples(expected.dBias, channels: channels)
      #expect(largestDifference(leaves[1].gradient.values, dWeight) < 1e-5)
      #expect(largestDifference(leaves[2].gradient.values, isCentred ? dBias : dBias.map { _ in 0 }) < 1e-5)
    }
    expectGradient(of: { layerNorm($0[0], weight: $0[1], bias: $0[2]) }, at: inputs)
    expectGradient(of: { rmsNorm($0[0], weight: $0[1]) }, at: [inputs[0], inputs[1]])
    let constant = inputs[0]
    expectGradient(of: { layerNorm(constant, weight: $0[0], bias: $0[1]) }, at: [inputs[1], inputs[2]])
  }

  @Test func normLayersVisitTheirParameters() {
    #expect(GroupNorm(channels: 32).parameters.map(\.name) == ["weight", "bias"])
    #expect(LayerNorm(channels: 3).parameterCount == 6)
    #expect(RMSNorm(channels: 3).parameters.map(\.name) == ["weight"])
    let x = randomTensors([2, 4, 32])[0]
    #expect(GroupNorm(channels: 32, activation: .silu)(x).values == groupNorm(x, groups: 32, activation: .silu).values)
  }
}
