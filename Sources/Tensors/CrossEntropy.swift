import Kernels

/// The mean cross-entropy of rows of logits against class indices, in nats.
///
/// With label smoothing ε the target distribution is `(1 − ε)·onehot + ε/V`.
/// - Parameters:
///   - logits: Shape `[..., V]`.
///   - targets: One class in `0..<V` per row.
///   - labelSmoothing: ε.
/// - Returns: A scalar.
/// - Complexity: Keeps one log-sum-exp per row, no copy of the logits.
public func crossEntropy(_ logits: Tensor, targets: [Int32], labelSmoothing: Float = 0) -> Tensor {
  let (rows, classes) = (logits.rows, logits.channels)
  require(
    targets.count == rows && rows > 0 && targets.allSatisfy { $0 >= 0 && $0 < classes },
    "crossEntropy: \(targets.count) targets for logits \(logits.shape), or a target outside 0..<\(classes)")
  let logSumExp = Tensor(uninitialized: [rows])
  let total = crossEntropy(
    logits.pointer, targets: targets, labelSmoothing: labelSmoothing, logSumExp: logSumExp.pointer, rows: rows,
    classes: classes)
  return Tensor(Float(total / Double(rows))).recording(from: [logits]) { dLoss in
    logits.node?.accumulate { dX, accumulating in
      crossEntropyGradient(
        logits.pointer, targets: targets, labelSmoothing: labelSmoothing, logSumExp: logSumExp.pointer,
        factor: dLoss.item / Float(rows), into: dX.pointer, rows: rows, classes: classes, accumulating: accumulating)
    }
  }
}

/// Distillation: `T²·mean_n KL(softmax(teacher/T) ‖ softmax(student/T))`, in nats; no gradient flows to the teacher.
/// - Parameters:
///   - student: Shape `[..., V]`.
///   - teacher: The shape of `student`.
///   - temperature: `T`.
/// - Returns: A scalar.
public func softmaxDivergence(student: Tensor, teacher: Tensor, temperature: Float) -> Tensor {
  require(
    student.shape == teacher.shape && student.rows > 0,
    "softmaxDivergence: student \(student.shape), teacher \(teacher.shape)")
  let (rows, classes) = (student.rows, student.channels)
  let logSumExp = Tensor(uninitialized: [2, rows])
  let total = softmaxDivergence(
    student: student.pointer, teacher: teacher.pointer, temperature: temperature,
    studentLogSumExp: logSumExp.pointer, teacherLogSumExp: logSumExp.pointer + rows, rows: rows, classes: classes)
  let loss = Tensor(Float(total / Double(rows)) * temperature * temperature)
  return loss.recording(from: [student]) { dLoss in
    student.node?.accumulate { dStudent, accumulating in
      softmaxDivergenceGradient(
        student: student.pointer, teacher: teacher.pointer, temperature: temperature,
        studentLogSumExp: logSumExp.pointer, teacherLogSumExp: logSumExp.pointer + rows,
        factor: dLoss.item * temperature / Float(rows), into: dStudent.pointer, rows: rows, classes: classes,
        accumulating: accumulating)
    }
  }
}

/// The negative mean cosine of the rows of `x` and `target`: `−mean_n x̂_n·t̂_n`; no gradient flows to the target.
/// - Parameters:
///   - x: Shape `[..., C]`.
///   - target: The shape of `x`.
/// - Returns: A scalar in `[−1, 1]`. Norms below 1e-12 count as 1e-12.
public func negativeNormalizedProduct(_ x: Tensor, _ target: Tensor) -> Tensor {
  require(x.shape == target.shape && x.rows > 0, "negativeNormalizedProduct: x \(x.shape), target \(target.shape)")
  let (rows, columns) = (x.rows, x.channels)
  /// The norm of x, the norm of the target and the cosine.
  func measures(_ row: Int) -> (Double, Double, Double) {
    let (a, b) = (x.pointer + row * columns, target.pointer + row * columns)
    let aNorm = max(dot(a, a, count: columns).squareRoot(), 1e-12)
    let bNorm = max(dot(b, b, count: columns).squareRoot(), 1e-12)
    return (aNorm, bNorm, dot(a, b, count: columns) / aNorm / bNorm)
  }
  let total = (0..<rows).reduce(0) { $0 + measures($1).2 }
  return Tensor(Float(-total / Double(rows))).recording(from: [x]) { dLoss in
    x.node?.accumulate { dX, accumulating in  // dx = −(t̂ − cos·x̂)/|x|/rows
      for row in 0..<rows {
        let (xNorm, targetNorm, cosine) = measures(row)
        let factor = -Double(dLoss.item) / Double(rows) / xNorm
        let start = row * columns
        scale(
          target.pointer + start, by: Float(factor / targetNorm), into: dX.pointer + start, count: columns,
          accumulating: accumulating)
        scale(
          x.pointer + start, by: Float(-factor * cosine / xNorm), into: dX.pointer + start, count: columns,
          accumulating: true)
      }
    }
  }
}
