import Kernels
import Tensors

/// What forward and backward of one round cost a rank, found by running them.
struct RoundCost {
  /// The most bytes in tensors at once, beside parameters and `keptGradientBytes`: activations, and the gradients that
  /// are there already.
  let activationBytes: Int
  /// Bytes of the gradients where they are there from the beginning: in all rounds but the first of a step, and wherever
  /// they have memory of their own.
  let keptGradientBytes: Int
  /// Floating-point operations of its matrix products for one sample.
  let operationsPerSample: Int

  /// Runs rounds of 1, 2, 4, … samples, up to the number asked for or until activations are most of half a gigabyte; larger
  /// ones follow from the last two. What does not depend on the number of samples, like weights in another layout, is
  /// needed once.
  /// - Parameters:
  ///   - samples: Samples of the round that is asked for.
  ///   - accumulation: Rounds of a step.
  ///   - arenas: Whose gradients the rounds compute.
  ///   - recomputation: What the backward pass computes again.
  ///   - round: Forward and backward of that many samples.
  init(
    samples: Int, accumulation: Int, arenas: [ParameterArena], recomputation: Recomputation,
    _ round: (_ samples: Int) throws -> Void
  ) rethrows {
    let gradientBytes = arenas.reduce(0) { $0 + $1.count * MemoryLayout<Float>.stride }
    keptGradientBytes = accumulation > 1 || !PagedStorage.pagesCanMove ? gradientBytes : 0
    if accumulation > 1 { for arena in arenas { arena.finishGradients() } }
    func growth(_ count: Int) throws -> Int {
      defer { if accumulation == 1 { for arena in arenas { arena.startStep() } } }
      return try StoragePool.shared.peakGrowth {
        try Recomputation.$current.withValue(recomputation) { try round(count) }
        for arena in arenas { arena.finishGradients() }
      }
    }
    var (count, bytes, bytesBefore) = (1, 0, 0)
    operationsPerSample = try OperationCount.of { bytes = try growth(1) }
    var bytesPerSample = 0
    // As long as the gradients are most of it, one sample more needs less than it does beyond.
    while count < samples && bytesBefore < max(1 << 28, gradientBytes + gradientBytes / 2) {
      let next = min(2 * count, samples)
      let more = try growth(next)
      bytesPerSample = max(0, (more - bytes) / (next - count))
      (count, bytes, bytesBefore) = (next, more, bytes)
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
