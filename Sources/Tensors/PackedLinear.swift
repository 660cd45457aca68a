public import Kernels

/// A matrix laid out for products whose rows do not depend on each other, as the kernels know it.
public typealias PackedMatrix = Kernels.PackedMatrix

/// Returns `x · Wᵀ` for a packed weight, outside the tape.
/// - Parameters:
///   - x: Shape `[..., in]`.
///   - weight: Shape `[out, in]`, packed.
/// - Returns: Shape `[..., out]`. A row's values have the same bits whatever other rows there are.
public func linear(_ x: Tensor, packed weight: PackedMatrix) -> Tensor {
  require(x.channels == weight.depth, "linear: x \(x.shape), weight [\(weight.columns), \(weight.depth)]")
  let y = Tensor(uninitialized: x.shape.dropLast() + [weight.columns])
  weight.multiply(x.matrix, into: y.matrix)
  return y
}

extension PackedMatrix {
  /// Packs a weight of shape `[out, in]`.
  public init(_ weight: Tensor) {
    require(weight.dimensionCount == 2, "PackedMatrix: \(weight.shape)")
    self.init(weight.matrix.transposed)
  }
}
