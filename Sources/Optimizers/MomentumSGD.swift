/// Stochastic gradient descent with momentum, alone or with the layer-wise rates of LARS (You et al., 2017).
///
/// ```
/// g ← g + λ·w                     matrices only
/// g ← η·‖w‖/‖g‖·g                 matrices only, and only with a trust coefficient η
/// m ← μ·m + g
/// w ← w − rate·m
/// ```
///
/// Every rank that gives the same gradients gets the same bits: norms are summed in one order, in double precision.
public struct MomentumSGD: Sendable {
  /// Parameters that belong together.
  public struct Layer: Sendable {
    /// Where they lie.
    public var range: Range<Int>
    /// Biases are not: they have neither weight decay nor a rate of their own.
    public var isMatrix: Bool

    /// A layer.
    public init(range: Range<Int>, isMatrix: Bool) {
      self.range = range
      self.isMatrix = isMatrix
    }
  }

  private let layers: [Layer]
  private let momentum: Float
  private let weightDecay: Float
  private let trustCoefficient: Double?
  private var moments: [Float]

  /// An optimizer of parameters in layers.
  /// - Parameters:
  ///   - layers: What is updated, each by a rate of its own with LARS.
  ///   - momentum: μ.
  ///   - weightDecay: λ.
  ///   - trustCoefficient: η of LARS; nil for plain momentum.
  public init(
    layers: [Layer], momentum: Double = 0.9, weightDecay: Double = 0, trustCoefficient: Double? = nil
  ) {
    self.layers = layers
    self.momentum = Float(momentum)
    self.weightDecay = Float(weightDecay)
    self.trustCoefficient = trustCoefficient
    moments = Array(repeating: 0, count: layers.map(\.range.upperBound).max() ?? 0)
  }

  /// Takes one step.
  /// - Precondition: There are as many gradients as parameters, and both reach as far as the layers.
  public mutating func step(_ parameters: inout [Float], gradients: [Float], learningRate: Double) {
    require(
      parameters.count == gradients.count && parameters.count >= moments.count,
      "MomentumSGD: \(gradients.count) gradients for \(parameters.count) parameters")
    let rate = Float(learningRate)
    for layer in layers {
      let decay = layer.isMatrix ? weightDecay : 0
      var scale: Float = 1
      if let trustCoefficient, layer.isMatrix {
        let weights = norm(layer.range) { parameters[$0] }
        let update = norm(layer.range) { gradients[$0] + decay * parameters[$0] }
        if weights > 0 && update > 0 { scale = Float(trustCoefficient * weights / update) }
      }
      for index in layer.range {
        moments[index] = momentum * moments[index] + scale * (gradients[index] + decay * parameters[index])
        parameters[index] -= rate * moments[index]
      }
    }
  }

  private func norm(_ range: Range<Int>, _ value: (Int) -> Float) -> Double {
    range.reduce(0.0) { $0 + Double(value($1)) * Double(value($1)) }.squareRoot()
  }
}
