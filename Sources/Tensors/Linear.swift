import Kernels

/// Returns `x · Wᵀ + b` over the last axis. A row's result has the same bits whatever other rows there are.
/// - Parameters:
///   - x: Shape `[..., in]`.
///   - weight: Shape `[out, in]`.
///   - bias: Shape `[out]`.
///   - inertBias: Outputs whose bias provably changes nothing downstream; its gradient is exactly zero there.
/// - Returns: Shape `[..., out]`.
/// - Complexity: One gemm forward, two backward.
public func linear(_ x: Tensor, weight: Tensor, bias: Tensor? = nil, inertBias: Range<Int>? = nil) -> Tensor {
  require(
    weight.dimensionCount == 2 && x.channels == weight.shape[1] && (bias.map { $0.shape == [weight.shape[0]] } ?? true),
    "linear: x \(x.shape), weight \(weight.shape), bias \(bias?.shape ?? [])")
  let y = Tensor(uninitialized: x.shape.dropLast() + [weight.shape[0]])
  let operations = 2 * x.count * weight.shape[0]
  OperationCount.add(operations)
  PackedMatrix(weight.matrix.transposed).multiply(x.matrix, into: y.matrix)
  if let bias { addRows(bias.pointer, to: y.pointer, rows: y.rows, columns: y.channels) }
  let (xNode, biasNode) = (x.node, bias?.node)
  // A frozen network needs its inputs' gradients only.
  let neededX = weight.node.map { _ in NeededAgain(x) }
  return y.recording(from: [x, weight, bias]) { dY in
    xNode?.accumulate { dX, accumulating in  // dX += dY · W
      OperationCount.add(operations)
      gemm(dY.matrix, weight.matrix, into: dX.matrix, accumulating: accumulating)
    }
    weight.node?.accumulate { dW, accumulating in  // dW += dYᵀ · x
      guard let x = neededX?.tensor else { return }
      OperationCount.add(operations)
      gemm(dY.matrix.transposed, x.matrix, into: dW.matrix, accumulating: accumulating)
    }
    biasNode?.accumulate { dB, accumulating in
      columnSums(dY.pointer, into: dB.pointer, rows: dY.rows, columns: dY.channels, accumulating: accumulating)
      if let inertBias { fill(dB.pointer + inertBias.lowerBound, count: inertBias.count, with: 0) }
    }
  }
}

/// Returns `a[b] · c[b]ᵀ` for every sample b.
/// - Parameters:
///   - a: Shape `[B, L, C]`.
///   - c: Shape `[B, K, C]`.
/// - Returns: Shape `[B, L, K]`.
public func batchedProduct(_ a: Tensor, _ c: Tensor) -> Tensor {
  require(
    a.dimensionCount == 3 && c.dimensionCount == 3 && a.shape[0] == c.shape[0] && a.shape[2] == c.shape[2],
    "batchedProduct: \(a.shape) and \(c.shape)")
  let y = Tensor(uninitialized: [a.shape[0], a.shape[1], c.shape[1]])
  let operations = 2 * a.count * c.shape[1]
  OperationCount.add(operations)
  for sample in 0..<a.shape[0] { gemm(a.matrix(sample), c.matrix(sample).transposed, into: y.matrix(sample)) }
  return y.recording(from: [a, c]) { dY in
    a.node?.accumulate { dA, accumulating in
      OperationCount.add(operations)
      for sample in 0..<a.shape[0] {
        gemm(dY.matrix(sample), c.matrix(sample), into: dA.matrix(sample), accumulating: accumulating)
      }
    }
    c.node?.accumulate { dC, accumulating in
      OperationCount.add(operations)
      for sample in 0..<a.shape[0] {
        gemm(dY.matrix(sample).transposed, a.matrix(sample), into: dC.matrix(sample), accumulating: accumulating)
      }
    }
  }
}

extension Tensor {
  /// One sample of a `[B, L, C]` tensor as an `L × C` matrix.
  fileprivate func matrix(_ sample: Int) -> MatrixView {
    MatrixView(pointer + sample * shape[1] * shape[2], rows: shape[1], columns: shape[2])
  }
}
