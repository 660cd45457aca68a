import Kernels

/// Layer normalisation over the last axis: `x̂·weight + bias`.
/// - Parameters:
///   - x: Shape `[..., C]`.
///   - weight: Shape `[C]`.
///   - bias: Shape `[C]`.
///   - epsilon: Added to the (biased) variance.
/// - Returns: The shape of `x`.
public func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float = 1e-5) -> Tensor {
  require(
    weight.count == x.channels && bias.count == x.channels,
    "layerNorm: x \(x.shape), weight \(weight.shape), bias \(bias.shape)")
  let statistics = Tensor(uninitialized: [2, x.rows])
  func normalized() -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    layerNorm(
      x.pointer, weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, into: y.pointer,
      means: statistics.pointer, rstds: statistics.pointer + x.rows, rows: x.rows, columns: x.channels)
    return y
  }
  let biasNode = bias.node
  return normalized().recording(from: [x, weight, bias], recompute: normalized) { dY in
    let parameters = rowNormGradient(
      x, dY, weight: weight, means: statistics.pointer, rstds: statistics.pointer + x.rows)
    weight.node?.accumulate(adding: parameters.weight)
    biasNode?.accumulate(adding: parameters.bias)
  }
}

/// RMS normalisation over the last axis: `x / √(mean(x²) + epsilon) · weight`.
/// - Parameters:
///   - x: Shape `[..., C]`.
///   - weight: Shape `[C]`.
///   - epsilon: Added to the mean square.
/// - Returns: The shape of `x`.
public func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float = 1e-5) -> Tensor {
  require(weight.count == x.channels, "rmsNorm: x \(x.shape), weight \(weight.shape)")
  let rstds = Tensor(uninitialized: [x.rows])
  func normalized() -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    rmsNorm(
      x.pointer, weight: weight.pointer, epsilon: epsilon, into: y.pointer, rstds: rstds.pointer, rows: x.rows,
      columns: x.channels)
    return y
  }
  return normalized().recording(from: [x, weight], recompute: normalized) { dY in
    let parameters = rowNormGradient(x, dY, weight: weight, means: nil, rstds: rstds.pointer)
    weight.node?.accumulate(adding: parameters.weight)
  }
}

/// Sends the gradient of either row norm to `x`; returns those of weight and bias.
private func rowNormGradient(
  _ x: Tensor, _ dY: Tensor, weight: Tensor, means: UnsafePointer<Float>?, rstds: UnsafePointer<Float>
) -> (weight: Tensor, bias: Tensor) {
  let channels = x.channels
  let dParameters = Storage(count: 2 * channels)
  func compute(into dX: UnsafeMutablePointer<Float>?, accumulating: Bool) {
    rowNormGradient(
      x.pointer, dY.pointer, weight: weight.pointer, means: means, rstds: rstds, into: dX,
      accumulating: accumulating, dParameters: dParameters.pointer, rows: x.rows, columns: channels)
  }
  if let node = x.node {
    node.accumulate { dX, accumulating in compute(into: dX.pointer, accumulating: accumulating) }
  } else {
    compute(into: nil, accumulating: false)
  }
  return (
    Tensor(storage: dParameters, shape: weight.shape),
    Tensor(storage: dParameters, offset: channels, shape: weight.shape)
  )
}
