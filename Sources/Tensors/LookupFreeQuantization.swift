import Kernels

/// Quantizes every channel to its sign, with a straight-through gradient: `q = sign(z)`, `dz = dq`.
/// - Parameter z: Shape `[..., d]`, `d ≤ 30`.
/// - Returns: `codes` of the shape of `z` with values −1 (also for 0) and 1, and one index per row,
///   `Σ_j 2^j·[z_j > 0]`: bit 0 is channel 0.
public func lookupFreeQuantize(_ z: Tensor) -> (codes: Tensor, indices: [Int32]) {
  require(z.channels <= 30, "lookupFreeQuantize: \(z.channels) bits")
  let codes = Tensor(uninitialized: z.shape)
  var indices = [Int32](repeating: 0, count: z.rows)
  indices.withUnsafeMutableBufferPointer { indices in
    guard let first = indices.baseAddress else { return }
    signCodes(z.pointer, rows: z.rows, bits: z.channels, into: codes.pointer, indices: first)
  }
  let node = z.node
  return (codes.recording(from: [z]) { dCodes in node?.accumulate(adding: dCodes) }, indices)
}

/// `mean((z − sign z)²)`, a scalar; no gradient flows through the sign.
public func commitmentLoss(_ z: Tensor) -> Tensor {
  let loss = Tensor(Float(commitment(z.pointer, count: z.count) / Double(z.count)))
  return loss.recording(from: [z]) { dLoss in
    z.node?.accumulate { dZ, accumulating in
      commitmentGradient(
        z.pointer, factor: 2 * dLoss.item / Float(z.count), into: dZ.pointer, count: z.count,
        accumulating: accumulating)
    }
  }
}

/// Replaces the values by their mean over all ranks. A collective call.
public typealias RankAverage = (_ values: UnsafeMutableBufferPointer<Float>) throws -> Void

/// The two entropies of look-up-free quantization, in nats, exactly, without an `N × 2^d` array.
///
/// With `p(c|z) = softmax(2·z·c/τ)` over all codes `c ∈ {−1, 1}^d`, which factorises into `Π_j σ(4·z_j·c_j/τ)`:
/// - `sampleEntropy = mean_n H(p(·|z_n))`, a sum of binary entropies;
/// - `batchEntropy = −Σ_c p̄(c)·log(p̄(c) + epsilon)` with `p̄ = mean_n p(·|z_n)`, one matrix product.
///
/// Training minimises `sampleEntropy − batchEntropy`.
///
/// **Over ranks.** `p̄` should be the mean over the global batch: `averagingOverRanks` is called once, in the forward
/// pass, with this rank's mean, 2^d values. The gradient needs no communication of its own. With R ranks of N tokens
/// each, `p̄ = (1/R)·Σ_r p̄_r`, so the gradient of the batch entropy H with respect to a parameter θ is
/// `Σ_r Σ_n ∂H/∂p̄ · 1/(R·N) · ∂p(z_rn)/∂θ`. Each rank's pullback computes its own inner sum with `1/N` in place of
/// `1/(R·N)`, and the trainer takes the mean of the ranks' gradients, which supplies the missing `1/R`. Hence no factor
/// of R here, and every rank must hold the same number of tokens. `sampleEntropy` stays this rank's own mean.
/// - Parameters:
///   - z: Shape `[..., d]`, `1 ≤ d ≤ 24`; all axes but the last are tokens.
///   - temperature: τ.
///   - epsilon: Inside the logarithm of the batch entropy only, as in the published code.
///   - averagingOverRanks: Nil on a single rank. Every rank must call.
/// - Returns: Two scalars.
/// - Throws: What `averagingOverRanks` throws.
public func lookupFreeEntropy(
  _ z: Tensor, temperature: Float = 0.01, epsilon: Float = 1e-5, averagingOverRanks: RankAverage? = nil
) rethrows -> (sampleEntropy: Tensor, batchEntropy: Tensor) {
  require(z.channels >= 1 && z.channels <= 24 && z.rows > 0, "lookupFreeEntropy: z \(z.shape)")
  let rows = z.rows
  let distribution = CodeDistribution(z.pointer, rows: rows, bits: z.channels, temperature: temperature)
  let sampleEntropy = Tensor(Float(distribution.entropySum() / Double(rows)))

  let average = Tensor(uninitialized: [distribution.codeCount])
  distribution.average(into: average.pointer)
  try averagingOverRanks?(UnsafeMutableBufferPointer(start: average.pointer, count: average.count))
  let batchEntropy = Tensor(Float(codeEntropy(average.pointer, count: average.count, epsilon: epsilon)))

  let recordedSample = sampleEntropy.recording(from: [z]) { dEntropy in
    z.node?.accumulate { dZ, accumulating in
      distribution.entropyGradient(
        factor: dEntropy.item / Float(rows), into: dZ.pointer, accumulating: accumulating)
    }
  }
  let recordedBatch = batchEntropy.recording(from: [z]) { dEntropy in
    z.node?.accumulate { dZ, accumulating in
      let dAverage = Tensor(uninitialized: average.shape)
      codeEntropyGradient(
        average.pointer, factor: dEntropy.item, epsilon: epsilon, into: dAverage.pointer, count: average.count)
      distribution.averageGradient(dAverage.pointer, into: dZ.pointer, accumulating: accumulating)
    }
  }
  return (recordedSample, recordedBatch)
}
