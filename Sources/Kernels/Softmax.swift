import CKernels

// Losses over rows of logits. Probabilities are recomputed from each row's log-sum-exp, never stored.

private func rowsPerChunk(_ columns: Int) -> Int { max(1, (1 << 14) / max(columns, 1)) }

/// The sum over rows of the cross-entropy against `targets`, label-smoothed; stores each row's log-sum-exp.
/// - Precondition: Targets are in `0..<classes`.
public func crossEntropy(
  _ logits: UnsafePointer<Float>, targets: UnsafePointer<Int32>, labelSmoothing: Float,
  logSumExp: UnsafeMutablePointer<Float>, rows: Int, classes: Int
) -> Double {
  withScratch(rows) { losses in
    parallelChunks(rows, of: rowsPerChunk(classes)) { range in
      let first = range.lowerBound
      kernels_cross_entropy(
        range.count, classes, logits + first * classes, targets + first, labelSmoothing, logSumExp + first,
        losses + first)
    }
    return total(losses, count: rows)
  }
}

/// `dX (+)= factor·∂(crossEntropy)/∂logits`.
public func crossEntropyGradient(
  _ logits: UnsafePointer<Float>, targets: UnsafePointer<Int32>, labelSmoothing: Float,
  logSumExp: UnsafePointer<Float>, factor: Float, into dX: UnsafeMutablePointer<Float>, rows: Int, classes: Int,
  accumulating: Bool
) {
  parallelChunks(rows, of: rowsPerChunk(classes)) { range in
    let first = range.lowerBound
    kernels_cross_entropy_gradient(
      range.count, classes, logits + first * classes, targets + first, labelSmoothing, logSumExp + first, factor,
      dX + first * classes, accumulating ? 1 : 0)
  }
}

/// The sum over rows of `KL(softmax(teacher/T) ‖ softmax(student/T))`; stores both sides' log-sum-exps.
public func softmaxDivergence(
  student: UnsafePointer<Float>, teacher: UnsafePointer<Float>, temperature: Float,
  studentLogSumExp: UnsafeMutablePointer<Float>, teacherLogSumExp: UnsafeMutablePointer<Float>, rows: Int,
  classes: Int
) -> Double {
  withScratch(rows) { losses in
    parallelChunks(rows, of: rowsPerChunk(classes)) { range in
      let first = range.lowerBound
      kernels_softmax_divergence(
        range.count, classes, 1 / temperature, student + first * classes, teacher + first * classes,
        studentLogSumExp + first, teacherLogSumExp + first, losses + first)
    }
    return total(losses, count: rows)
  }
}

/// `dStudent (+)= factor·(softmax(student/T) − softmax(teacher/T))`.
public func softmaxDivergenceGradient(
  student: UnsafePointer<Float>, teacher: UnsafePointer<Float>, temperature: Float,
  studentLogSumExp: UnsafePointer<Float>, teacherLogSumExp: UnsafePointer<Float>, factor: Float,
  into dStudent: UnsafeMutablePointer<Float>, rows: Int, classes: Int, accumulating: Bool
) {
  parallelChunks(rows, of: rowsPerChunk(classes)) { range in
    let first = range.lowerBound
    kernels_softmax_divergence_gradient(
      range.count, classes, 1 / temperature, student + first * classes, teacher + first * classes,
      studentLogSumExp + first, teacherLogSumExp + first, factor, dStudent + first * classes, accumulating ? 1 : 0)
  }
}

/// Each row's maximum and its first position, on the calling thread.
public func rowMaxima(
  _ x: UnsafePointer<Float>, rows: Int, columns: Int, into maxima: UnsafeMutablePointer<Float>,
  positions: UnsafeMutablePointer<Int32>
) {
  kernels_row_maxima(rows, columns, x, maxima, positions)
}
