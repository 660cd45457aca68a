public import Kernels

/// Which values a dropout zeroes, as the kernels know it.
public typealias DropoutMask = Kernels.DropoutMask

/// The gated unit `silu(gate)·up` (Shazeer, 2020).
/// - Parameters:
///   - gate: Any shape.
///   - up: The shape of `gate`.
/// - Returns: The same shape.
public func swiGLU(gate: Tensor, up: Tensor) -> Tensor {
  require(gate.shape == up.shape, "swiGLU: gate \(gate.shape), up \(up.shape)")
  func gated() -> Tensor {
    let y = Tensor(uninitialized: gate.shape)
    swiGLU(gate: gate.pointer, up: up.pointer, into: y.pointer, count: y.count)
    return y
  }
  return gated().recording(from: [gate, up], recompute: gated) { dY in
    let (dGate, dUp) = (Tensor(uninitialized: gate.shape), Tensor(uninitialized: up.shape))
    swiGLUGradient(
      gate: gate.pointer, up: up.pointer, dY.pointer, dGate: dGate.pointer, dUp: dUp.pointer, count: gate.count)
    gate.node?.accumulate(adding: dGate)
    up.node?.accumulate(adding: dUp)
  }
}

/// Zeroes a share of the values and divides the rest by what remains (Srivastava et al., 2014).
/// - Parameters:
///   - x: Shape `[B·n, ...]`, with `B` the samples of the mask.
///   - mask: Nil changes nothing.
/// - Returns: The shape of `x`.
public func dropout(_ x: Tensor, _ mask: DropoutMask?) -> Tensor {
  guard let mask, mask.rate > 0 else { return x }
  require(mask.covers(x), "dropout: \(mask.keys.count) samples at rate \(mask.rate) of \(x.shape)")
  let y = Tensor(uninitialized: x.shape)
  mask.apply(x.pointer, into: y.pointer, count: y.count)
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      mask.apply(dY.pointer, into: dX.pointer, count: dX.count, accumulating: accumulating)
    }
  }
}

/// `x + branch`, with dropout on the branch, in one pass.
/// - Parameters:
///   - x: Shape `[B·n, ...]`, with `B` the samples of the mask.
///   - branch: The shape of `x`.
///   - mask: Nil drops nothing.
public func residual(_ x: Tensor, _ branch: Tensor, dropout mask: DropoutMask?) -> Tensor {
  guard let mask, mask.rate > 0 else { return x + branch }
  require(
    mask.covers(x) && x.shape == branch.shape,
    "residual: \(mask.keys.count) samples at rate \(mask.rate) of \(x.shape) and \(branch.shape)")
  let y = Tensor(uninitialized: x.shape)
  mask.apply(branch.pointer, addedTo: x.pointer, into: y.pointer, count: y.count)
  let (xNode, branchNode) = (x.node, branch.node)
  return y.recording(from: [x, branch]) { dY in
    xNode?.accumulate(adding: dY)
    branchNode?.accumulate { dBranch, accumulating in
      mask.apply(dY.pointer, into: dBranch.pointer, count: dBranch.count, accumulating: accumulating)
    }
  }
}

extension DropoutMask {
  fileprivate func covers(_ x: Tensor) -> Bool {
    !keys.isEmpty && x.count % keys.count == 0 && (0..<1).contains(rate)
  }
}
