public import Kernels

/// A weight laid out for products with few rows, as the kernels know it.
public typealias PackedMatrix = Kernels.PackedMatrix

/// Returns `x · Wᵀ` for a packed weight, outside the tape.
/// - Parameter x: Shape `[..., in]`.
/// - Returns: Shape `[..., out]`. A row's values have the same bits whatever other rows there are.
public func linear(_ x: Tensor, packed weight: PackedMatrix) -> Tensor {
  require(x.channels == weight.inputSize, "linear: x \(x.shape), weight [\(weight.outputSize), \(weight.inputSize)]")
  let y = Tensor(uninitialized: x.shape.dropLast() + [weight.outputSize])
  weight.multiply(x.pointer, into: y.pointer, rows: x.rows)
  return y
}

extension PackedMatrix {
  /// Packs a weight of shape `[out, in]`.
  public init(_ weight: Tensor) {
    require(weight.dimensionCount == 2, "PackedMatrix: \(weight.shape)")
    self.init(weight.pointer, outputSize: weight.shape[0], inputSize: weight.shape[1])
  }
}
