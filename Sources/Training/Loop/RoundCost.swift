import Kernels
import Tensors

/// What forward and backward of one round cost a rank, found by running them.
struct RoundCost {
  /// The most bytes in tensors at once, beside parameters and gradients.
  let activationBytes: Int
  /// Floating-point operations of its matrix products for one sample.
  let operationsPerSample: Int

  /// Runs rounds of 1, 2, 4, … samples, up to the number asked for or to half a gigabyte, and at least two rounds; larger
  /// ones follow from the last two. What does not depend on the number of samples, like weights in another layout, is
  /// needed once.
  /// - Parameters:
  ///   - samples: Samples of the round that is asked for.
  ///   - recomputation: What the backward pass computes again.
  ///   - round: Forward and backward of that many samples.
  init(samples: Int, recomputation: Recomputation, _ round: (_ samples: Int) throws -> Void) rethrows {
    func growth(_ count: Int) throws -> Int {
      try StoragePool.shared.peakGrowth { try Recomputation.$current.withValue(recomputation) { try round(count) } }
    }
    var (count, bytes) = (1, 0)
    operationsPerSample = try OperationCount.of { bytes = try growth(1) }
    var bytesPerSample = 0
    while count < samples && (count == 1 || bytes < 1 << 29) {
      let next = min(2 * count, samples)
      let more = try growth(next)
      bytesPerSample = max(0, (more - bytes) / (next - count))
      (count, bytes) = (next, more)
    }
    activationBytes = bytes + (samples - count) * bytesPerSample
  }
}

extension StoragePool {
  /// The most bytes in tensors at once during `body`, beside those before it.
  func peakGrowth(during body: () throws -> Void) rethrows -> Int {
    resetPeak()
    let before = statistics.liveBytes
    try body()
    return statistics.peakLiveBytes - before
  }
}
