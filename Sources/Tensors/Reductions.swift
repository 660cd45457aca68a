import Kernels

/// The mean of all values, a scalar.
public func mean(_ x: Tensor) -> Tensor {
  let y = Tensor(Float(total(x.pointer, count: x.count) / Double(x.count)))
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      let share = dY.item / Float(dX.count)
      if accumulating {
        for index in 0..<dX.count { dX.pointer[index] += share }
      } else {
        fill(dX.pointer, count: dX.count, with: share)
      }
    }
  }
}

/// `mean |x − target|`, a scalar; no gradient flows into the target.
public func meanAbsoluteError(_ x: Tensor, to target: Tensor) -> Tensor {
  require(x.count == target.count, "meanAbsoluteError: \(x.shape) to \(target.shape)")
  let y = Tensor(Float(absoluteDifference(x.pointer, target.pointer, count: x.count) / Double(x.count)))
  return y.recording(from: [x]) { dY in
    x.node?.accumulate { dX, accumulating in
      absoluteDifferenceGradient(
        x.pointer, target.pointer, factor: dY.item / Float(x.count), into: dX.pointer, count: x.count,
        accumulating: accumulating)
    }
  }
}
