import Optimizers
import Testing

/// Momentum and LARS against their formulas in double precision.
struct MomentumSGDTests {
  private static let layers = [
    MomentumSGD.Layer(range: 0..<4, isMatrix: true), MomentumSGD.Layer(range: 4..<6, isMatrix: false),
  ]

  @Test(arguments: [nil, 0.02], [0, 0.1])
  func stepsFollowTheFormula(trust: Double?, decay: Double) {
    var optimizer = MomentumSGD(layers: Self.layers, momentum: 0.9, weightDecay: decay, trustCoefficient: trust)
    var parameters: [Float] = [0.5, -1, 2, 0.25, 3, -3]
    var expected = parameters.map(Double.init)
    var moments = [Double](repeating: 0, count: 6)
    for step in 1...5 {
      let gradients = (0..<6).map { Float(($0 + step) % 4) - 1.5 }
      optimizer.step(&parameters, gradients: gradients, learningRate: 0.1)
      var update = gradients.map(Double.init)
      for index in 0..<4 { update[index] += decay * expected[index] }
      if let trust {
        func norm(_ values: ArraySlice<Double>) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let scale = trust * norm(expected[0..<4]) / norm(update[0..<4])
        for index in 0..<4 { update[index] *= scale }
      }
      for index in 0..<6 {
        moments[index] = 0.9 * moments[index] + update[index]
        expected[index] -= 0.1 * moments[index]
      }
    }
    for (found, expected) in zip(parameters, expected) { #expect(abs(Double(found) - expected) < 1e-5) }
  }

  @Test func aLayerOfZerosTakesPlainSteps() {
    var optimizer = MomentumSGD(layers: Self.layers, trustCoefficient: 0.001)
    var parameters = [Float](repeating: 0, count: 6)
    optimizer.step(&parameters, gradients: Array(repeating: 1, count: 6), learningRate: 0.5)
    #expect(parameters == Array(repeating: -0.5, count: 6))
  }
}
