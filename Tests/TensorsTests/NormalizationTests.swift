import Foundation
import Kernels
import Layers
import Tensors
import Testing

struct NormalizationTests {
  /// Samples, positions, channels, groups: one and two channels per group, odd and full vectors, several chunks.
  static let shapes = [(1, 1, 4, 2), (2, 5, 6, 6), (2, 7, 6, 3), (3, 33, 64, 32), (1, 1300, 32, 32), (2, 70, 96, 32)]

  @Test(arguments: shapes, [NormActivation.none, .silu])
  func groupNormMatchesItsDefinition(shape: (Int, Int, Int, Int), activation: NormActivation) {
    let (batch, positions, channels, groups) = shape
    let inputs = randomTensors([batch, positions, channels], [channels], [channels], in: -2...3)
    let y = groupNorm(
      inputs[0], groups: groups, weight: inputs[1], bias: inputs[2], epsilon: 1e-6, activation: activation)
    let expected = referenceGroupNorm(inputs[0], groups: groups, silu: activation == .silu) { channel, _ in
      (Double(inputs[1].values[channel]), Double(inputs[2].values[channel]))
    }
    #expect(largestDifference(y.values, expected) < 5e-6)
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
    let expected = referenceGroupNorm(x, groups: 2, silu: false) { _, _ in (1, 0) }
    #expect(largestDifference(y.values, expected) < 2e-4)  // half a unit in the last place of the mean
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
    let y = adaptiveGroupNorm(inputs[0], scale: inputs[1], shift: inputs[2])
    let expected = referenceGroupNorm(inputs[0], groups: 32, silu: false) { channel, sample in
      (Double(inputs[1].values[sample * 64 + channel]), Double(inputs[2].values[sample * 64 + channel]))
    }
    #expect(largestDifference(y.values, expected) < 5e-6)
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
  func rowNormsMatchTheirDefinitionAndGradient(rows: Int, channels: Int) {
    let inputs = randomTensors([rows, channels], [channels], [channels], in: -1...2)
    let (x, weight, bias) = (inputs[0].values, inputs[1].values, inputs[2].values)
    var (layer, rms) = ([Double](), [Double]())
    for row in 0..<rows {
      let values = x[row * channels..<(row + 1) * channels].map(Double.init)
      let mean = values.reduce(0, +) / Double(channels)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
      let square = values.reduce(0) { $0 + $1 * $1 } / Double(channels)
      for (channel, value) in values.enumerated() {
        let (w, b) = (Double(weight[channel]), Double(bias[channel]))
        layer.append((value - mean) / (variance + 1e-5).squareRoot() * w + b)
        rms.append(value / (square + 1e-5).squareRoot() * w)
      }
    }
    #expect(largestDifference(layerNorm(inputs[0], weight: inputs[1], bias: inputs[2]).values, layer) < 2e-6)
    #expect(largestDifference(rmsNorm(inputs[0], weight: inputs[1]).values, rms) < 2e-6)
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

/// Group normalisation by its definition in float64; `affine` gives (weight, bias) of (channel, sample).
private func referenceGroupNorm(
  _ x: Tensor, groups: Int, silu: Bool, affine: (_ channel: Int, _ sample: Int) -> (Double, Double)
) -> [Double] {
  let (batch, channels) = (x.shape[0], x.channels)
  let positions = x.rows / batch
  let (values, width) = (x.values, channels / groups)
  var y = [Double](repeating: 0, count: x.count)
  for sample in 0..<batch {
    for group in 0..<groups {
      let indices = (0..<positions).flatMap { position in
        (0..<width).map { (sample * positions + position) * channels + group * width + $0 }
      }
      let mean = indices.reduce(0) { $0 + Double(values[$1]) } / Double(indices.count)
      let variance = indices.reduce(0) { $0 + (Double(values[$1]) - mean) * (Double(values[$1]) - mean) }
      let deviation = (variance / Double(indices.count) + 1e-6).squareRoot()
      for index in indices {
        let (weight, bias) = affine(index % channels, sample)
        let h = (Double(values[index]) - mean) / deviation * weight + bias
        y[index] = silu ? h / (1 + exp(-h)) : h
      }
    }
  }
  return y
}
