import Kernels

/// Returns `x · Wᵀ + b` over the last axis.
/// - Parameters:
///   - x: Shape `[..., in]`.
///   - weight: Shape `[out, in]`.
///   - bias: Shape `[out]`.
/// - Returns: Shape `[..., out]`.
/// - Complexity: One gemm forward, two backward.
public func linear(_ x: Tensor, weight: Tensor, bias: Tensor? = nil) -> Tensor {
  require(
    weight.dimensionCount == 2 && x.channels == weight.shape[1] && (bias.map { $0.shape == [weight.shape[0]] } ?? true),
    "linear: x \(x.shape), weight \(weight.shape), bias \(bias?.shape ?? [])")
  let y = Tensor(uninitialized: x.shape.dropLast() + [weight.shape[0]])
  gemm(x.matrix, weight.matrix.transposed, into: y.matrix)
  if let bias { addRows(bias.pointer, to: y.pointer, rows: y.rows, columns: y.channels) }
  let biasNode = bias?.node
  return y.recording("linear", from: [x, weight, bias]) { dY in
    x.node?.accumulate { dX, accumulating in  // dX += dY · W
      gemm(dY.matrix, weight.matrix, into: dX.matrix, accumulating: accumulating)
    }
    weight.node?.accumulate { dW, accumulating in  // dW += dYᵀ · x
      gemm(dY.matrix.transposed, x.matrix, into: dW.matrix, accumulating: accumulating)
    }
    biasNode?.accumulate { dB, accumulating in
      columnSums(dY.pointer, into: dB.pointer, rows: dY.rows, columns: dY.channels, accumulating: accumulating)
    }
  }
}
