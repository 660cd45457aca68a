import Tensors
import Testing

/// Compares the gradient of `Σ w·f(x)` for fixed random weights `w` with a central difference along a random direction
/// over all inputs at once, summed in float64.
///
/// With ε = 1e-2 the error of float32 functions of order one stays below 1e-4 of ‖∇‖·‖direction‖.
func expectGradient(
  of function: ([Tensor]) -> Tensor, at inputs: [Tensor], seed: UInt64 = 1, epsilon: Float = 1e-2,
  tolerance: Double = 2e-4, sourceLocation: SourceLocation = #_sourceLocation
) {
  var random = SplitMix64(seed: seed, 77)
  let leaves = inputs.map(\.trackingGradient)
  let output = function(leaves)
  let weights = Tensor.uniform(in: -1...1, shape: output.shape, using: &random)
  output.backward(from: weights)
  let directions = inputs.map { Tensor.uniform(in: -1...1, shape: $0.shape, using: &random) }

  func projected(_ step: Float) -> Double {
    let moved = zip(inputs, directions).map { input, direction in
      Tensor(zip(input.values, direction.values).map { $0 + step * $1 }, shape: input.shape)
    }
    return zip(function(moved).values, weights.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }
  let numeric = (projected(epsilon) - projected(-epsilon)) / (2 * Double(epsilon))
  var analytic = 0.0
  var (gradientNorm, directionNorm) = (0.0, 0.0)
  for (leaf, direction) in zip(leaves, directions) {
    for (g, d) in zip(leaf.gradient.values, direction.values) {
      analytic += Double(g) * Double(d)
      gradientNorm += Double(g) * Double(g)
      directionNorm += Double(d) * Double(d)
    }
  }
  let error = abs(numeric - analytic) / max((gradientNorm * directionNorm).squareRoot(), 1e-12)
  #expect(
    error < tolerance, "gradient along the direction: \(analytic), by differences: \(numeric)",
    sourceLocation: sourceLocation)
}

/// Uniform random tensors of the given shapes.
func randomTensors(_ shapes: [Int]..., seed: UInt64 = 1, in range: ClosedRange<Float> = -1...1) -> [Tensor] {
  var random = SplitMix64(seed: seed)
  return shapes.map { Tensor.uniform(in: range, shape: $0, using: &random) }
}
