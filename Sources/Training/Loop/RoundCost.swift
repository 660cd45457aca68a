import Kernels
import Tensors

/// What forward and backward of one round cost a rank, found by running them.
struct RoundCost {
  /// Bytes that tensors take from the system for it, beside parameters and gradients.
  let activationBytes: Int
  /// Floating-point operations of its matrix products for one sample.
  let operationsPerSample: Int

  /// Runs rounds of one and of two samples; from those follow larger ones, because what does not depend on the number
  /// of samples, like weights in another layout, is needed once.
  /// - Parameters:
  ///   - samples: Samples of the round that is asked for.
  ///   - recomputation: What the backward pass computes again.
  ///   - round: Forward and backward of that many samples.
  init(samples: Int, recomputation: Recomputation, _ round: (_ samples: Int) throws -> Void) rethrows {
    func growth(_ count: Int) throws -> Int {
      StoragePool.shared.trim()
      let before = StoragePool.shared.statistics.reservedBytes
      try Recomputation.$current.withValue(recomputation) { try round(count) }
      return StoragePool.shared.statistics.reservedBytes - before
    }
    var one = 0
    operationsPerSample = try OperationCount.of { one = try growth(1) }
    activationBytes = samples == 1 ? one : one + (samples - 1) * max(0, try growth(2) - one)
  }
}
