import Glibc

/// `mean log(1 + e^{sign·x})`, a scalar: with sign −1 the cross-entropy of logits against "true", with 1 against "false".
public func meanSoftplus(_ x: Tensor, sign: Float) -> Tensor {
  meanPointwise(x) { value in
    let t = Double(sign) * value
    return max(t, 0) + log1p(exp(-abs(t)))
  } slope: { value in
    Double(sign) / (1 + exp(-Double(sign) * value))
  }
}

/// `mean max(0, offset + sign·x)`, a scalar.
public func meanHinge(_ x: Tensor, offset: Double, sign: Float) -> Tensor {
  meanPointwise(x) { value in
    max(0, offset + Double(sign) * value)
  } slope: { value in
    offset + Double(sign) * value > 0 ? Double(sign) : 0
  }
}

/// `mean max(0, offset + sign·x)²`, a scalar.
public func meanSquaredHinge(_ x: Tensor, offset: Double, sign: Float) -> Tensor {
  meanPointwise(x) { value in
    let excess = max(0, offset + Double(sign) * value)
    return excess * excess
  } slope: { value in
    2 * Double(sign) * max(0, offset + Double(sign) * value)
  }
}

/// The mean of a function of every value: for a discriminator's few logits, not for images.
private func meanPointwise(
  _ x: Tensor, value: (Double) -> Double, slope: @escaping (Double) -> Double
) -> Tensor {
  let total = x.values.reduce(0) { $0 + value(Double($1)) }
  return Tensor(Float(total / Double(x.count))).recording(from: [x]) { dY in
    x.node?.accumulate { dX, accumulating in
      let factor = Double(dY.item) / Double(x.count)
      for index in 0..<x.count {
        let contribution = Float(factor * slope(Double(x.pointer[index])))
        dX.pointer[index] = accumulating ? dX.pointer[index] + contribution : contribution
      }
    }
  }
}

/// The mean of every sample over all its other axes.
/// - Parameter x: Shape `[B, ...]`.
/// - Returns: Shape `[B]`.
public func sampleMeans(_ x: Tensor) -> Tensor {
  let batch = x.shape.first ?? 1
  let size = x.count / max(batch, 1)
  let values = x.values
  let means = (0..<batch).map { sample in
    Float(values[sample * size..<(sample + 1) * size].reduce(0) { $0 + Double($1) } / Double(size))
  }
  let xNode = x.node
  return Tensor(means, shape: [batch]).recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      for index in 0..<dX.count {
        let share = dY.pointer[index / size] / Float(size)
        dX.pointer[index] = accumulating ? dX.pointer[index] + share : share
      }
    }
  }
}

/// `Σ x·direction`, a scalar whose gradient with respect to `x` is `direction`: takes a gradient that was computed
/// elsewhere into the tape of `x`. No gradient flows to the direction.
/// - Parameters:
///   - x: Any shape.
///   - direction: The shape of `x`.
public func projection(_ x: Tensor, onto direction: Tensor) -> Tensor {
  require(x.shape == direction.shape, "projection: \(x.shape) onto \(direction.shape)")
  var total = 0.0
  for index in 0..<x.count { total += Double(x.pointer[index]) * Double(direction.pointer[index]) }
  let (xNode, direction) = (x.node, direction.detached)
  return Tensor(Float(total)).recording(from: [x]) { dY in
    xNode?.accumulate(adding: dY.item * direction)
  }
}
