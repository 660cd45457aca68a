public import Kernels

/// A pointwise nonlinearity, as the kernels know it.
public typealias Activation = Kernels.Activation

extension Tensor {
  /// The elementwise sum of two tensors of the same shape.
  public static func + (a: Tensor, b: Tensor) -> Tensor {
    require(a.shape == b.shape, "+: \(a.shape) and \(b.shape)")
    let y = Tensor(uninitialized: a.shape)
    sum(a.pointer, b.pointer, into: y.pointer, count: y.count)
    let (aNode, bNode) = (a.node, b.node)
    return y.recording(from: [a, b]) { dY in
      aNode?.accumulate(adding: dY)
      bNode?.accumulate(adding: dY)
    }
  }

  /// The elementwise product of two tensors of the same shape.
  public static func * (a: Tensor, b: Tensor) -> Tensor {
    require(a.shape == b.shape, "*: \(a.shape) and \(b.shape)")
    let y = Tensor(uninitialized: a.shape)
    multiply(a.pointer, b.pointer, into: y.pointer, count: y.count)
    return y.recording(from: [a, b]) { dY in
      a.node?.accumulate { dA, accumulating in
        multiply(dY.pointer, b.pointer, into: dA.pointer, count: dA.count, accumulating: accumulating)
      }
      b.node?.accumulate { dB, accumulating in
        multiply(dY.pointer, a.pointer, into: dB.pointer, count: dB.count, accumulating: accumulating)
      }
    }
  }

  /// Every value times `factor`.
  public static func * (factor: Float, x: Tensor) -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    scale(x.pointer, by: factor, into: y.pointer, count: y.count)
    let xNode = x.node
    return y.recording(from: [x]) { dY in
      xNode?.accumulate { dX, accumulating in
        scale(dY.pointer, by: factor, into: dX.pointer, count: dX.count, accumulating: accumulating)
      }
    }
  }

  /// The elementwise difference of two tensors of the same shape.
  public static func - (a: Tensor, b: Tensor) -> Tensor { a + -1 * b }
}

/// Applies a pointwise nonlinearity.
/// - Returns: The shape of `x`.
public func activation(_ x: Tensor, _ function: Activation) -> Tensor {
  func applied() -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    function.apply(x.pointer, into: y.pointer, count: y.count)
    return y
  }
  return applied().recording(from: [x], recompute: applied) { dY in
    x.node?.accumulate { dX, accumulating in
      function.applyGradient(x.pointer, dY.pointer, into: dX.pointer, count: dX.count, accumulating: accumulating)
    }
  }
}

/// Returns `x + factor·γ·f`, γ along the channels: a residual branch with layer scale.
/// - Parameters:
///   - x: Shape `[..., C]`.
///   - f: The branch, the shape of `x`.
///   - gamma: Shape `[C]`.
///   - factor: 1, or what stochastic depth multiplies the branch with.
public func scaledResidual(_ x: Tensor, _ f: Tensor, gamma: Tensor, factor: Float = 1) -> Tensor {
  require(
    x.shape == f.shape && gamma.shape == [x.channels],
    "scaledResidual: x \(x.shape), f \(f.shape), gamma \(gamma.shape)")
  let y = Tensor(uninitialized: x.shape)
  scaledResidual(
    x.pointer, f.pointer, gamma: gamma.pointer, factor: factor, into: y.pointer, rows: y.rows, columns: y.channels)
  let xNode = x.node
  return y.recording(from: [x, f, gamma]) { dY in
    xNode?.accumulate(adding: dY)
    f.node?.accumulate { dF, accumulating in
      scaleColumns(
        dY.pointer, by: gamma.pointer, factor: factor, into: dF.pointer, rows: dF.rows, columns: dF.channels,
        accumulating: accumulating)
    }
    gamma.node?.accumulate { dGamma, accumulating in
      columnSums(
        dY.pointer, times: f.pointer, into: dGamma.pointer, rows: f.rows, columns: f.channels, scale: factor,
        accumulating: accumulating)
    }
  }
}

/// Stochastic depth per sample: `x[b] · factors[b]`, e.g. 0 or 1 / keep probability.
/// - Parameters:
///   - x: Shape `[B, ...]`.
///   - factors: One per sample.
public func scaledBySample(_ x: Tensor, _ factors: [Float]) -> Tensor {
  require(!x.shape.isEmpty && factors.count == x.shape[0], "scaledBySample: \(factors.count) factors for \(x.shape)")
  let y = Tensor(uninitialized: x.shape)
  let size = x.count / max(factors.count, 1)
  for (sample, factor) in factors.enumerated() {
    scale(x.pointer + sample * size, by: factor, into: y.pointer + sample * size, count: size)
  }
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      for (sample, factor) in factors.enumerated() {
        scale(
          dY.pointer + sample * size, by: factor, into: dX.pointer + sample * size, count: size,
          accumulating: accumulating)
      }
    }
  }
}
