/// Adam as PyTorch writes it, one float at a time in double precision: the oracle for the fused loop.
struct ReferenceAdam {
  var beta1 = 0.5
  var beta2 = 0.9
  var epsilon = 1e-8
  var weightDecay = 0.0
  var isDecoupled = true
  var values: [Double]
  var firstMoments: [Double]
  var secondMoments: [Double]
  var average: [Double]
  var steps = 0.0

  init(_ values: [Float]) {
    self.values = values.map(Double.init)
    average = self.values
    firstMoments = Array(repeating: 0, count: values.count)
    secondMoments = firstMoments
  }

  mutating func step(_ gradients: [Float], learningRate: Double, scale: Double = 1, averageDecay: Double = 0.999) {
    steps += 1
    var correction1 = 1.0
    var correction2 = 1.0
    for _ in 0..<Int(steps) {
      correction1 *= beta1
      correction2 *= beta2
    }
    for i in values.indices {
      var gradient = Double(gradients[i]) * scale
      if isDecoupled {
        values[i] -= learningRate * weightDecay * values[i]
      } else {
        gradient += weightDecay * values[i]
      }
      firstMoments[i] = beta1 * firstMoments[i] + (1 - beta1) * gradient
      secondMoments[i] = beta2 * secondMoments[i] + (1 - beta2) * gradient * gradient
      let first = firstMoments[i] / (1 - correction1)
      let second = secondMoments[i] / (1 - correction2)
      values[i] -= learningRate * first / (second.squareRoot() + epsilon)
      average[i] = averageDecay * average[i] + (1 - averageDecay) * values[i]
    }
  }
}

/// A fixed, portable stream of numbers (splitmix64).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

func randomFloats(_ count: Int, in range: ClosedRange<Float> = -1...1, seed: UInt64) -> [Float] {
  var random = SplitMix64(state: seed)
  return (0..<count).map { _ in Float.random(in: range, using: &random) }
}
