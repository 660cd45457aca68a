import CKernels

private let chunkSize = 1 << 15

/// `y[i] = silu(gate[i])·up[i]`.
public func swiGLU(
  gate: UnsafePointer<Float>, up: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
) {
  parallelChunks(count, of: chunkSize) { range in
    let start = range.lowerBound
    kernels_swiglu(range.count, gate + start, up + start, y + start)
  }
}

/// Both gradients of `swiGLU` in one pass over memory.
public func swiGLUGradient(
  gate: UnsafePointer<Float>, up: UnsafePointer<Float>, _ dY: UnsafePointer<Float>,
  dGate: UnsafeMutablePointer<Float>, dUp: UnsafeMutablePointer<Float>, count: Int
) {
  parallelChunks(count, of: chunkSize) { range in
    let start = range.lowerBound
    kernels_swiglu_gradient(range.count, gate + start, up + start, dY + start, dGate + start, dUp + start)
  }
}

/// Which values a dropout zeroes: a pure function of one key per sample and a value's place in its sample.
///
/// Nothing depends on how samples are spread over batches and ranks, and a resumed run repeats what it did.
public struct DropoutMask: Sendable {
  /// The share that is zeroed; what survives is divided by 1 − rate.
  public let rate: Float
  /// One per sample.
  public let keys: [UInt64]

  /// A mask of `keys.count` samples.
  public init(rate: Float, keys: [UInt64]) {
    self.rate = rate
    self.keys = keys
  }

  /// `y[i] (+)= mask[i]·x[i]`.
  public func apply(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int, accumulating: Bool = false
  ) {
    forEachPart(of: count) { mask, first, start, count in
      kernels_dropout(count, mask, first, x + start, y + start, accumulating ? 1 : 0)
    }
  }

  /// `y[i] = x[i] + mask[i]·branch[i]`.
  public func apply(
    _ branch: UnsafePointer<Float>, addedTo x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    forEachPart(of: count) { mask, first, start, count in
      kernels_dropout_residual(count, mask, first, x + start, branch + start, y + start)
    }
  }

  private func forEachPart(
    of count: Int, _ body: (_ mask: kernels_dropout_mask, _ first: UInt32, _ start: Int, _ count: Int) -> Void
  ) {
    let size = count / max(keys.count, 1)
    let parts = max(1, (size + chunkSize - 1) / chunkSize)
    parallelFor(keys.count * parts) { task in
      let (sample, first) = (task / parts, task % parts * chunkSize)
      let mask = kernels_dropout_mask(
        key: keys[sample], threshold: Int32(rate * Float(1 << 24)), scale: 1 / (1 - rate))
      body(mask, UInt32(first), sample * size + first, min(chunkSize, size - first))
    }
  }
}
