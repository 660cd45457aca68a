import Kernels

/// Replaces sums by their mean over all ranks. Collective.
public typealias RankSumAverage = (UnsafeMutableBufferPointer<Double>) throws -> Void

/// The moments that a batch normalisation used, for running statistics.
public struct BatchMoments {
  /// Mean of every channel over the batch of all ranks.
  public var mean: [Double]
  /// Biased variance of every channel.
  public var variance: [Double]
  /// Values per channel over all ranks.
  public var count: Int
}

/// Normalises every channel over batch and positions, of all ranks together: `y = (x − μ)/√(σ² + ε)·weight + bias`
/// (Ioffe and Szegedy, 2015; statistics over ranks as in synchronised batch normalisation).
///
/// The gradient needs sums over all ranks as well, so the pullback communicates, too. An error there is kept in
/// `failure` and must be looked at after `backward`.
/// - Parameters:
///   - x: Shape `[..., C]`; every rank has the same shape.
///   - weight: Shape `[C]`.
///   - bias: Shape `[C]`.
///   - epsilon: Added to the (biased) variance.
///   - ranks: Ranks that share the batch.
///   - averageOverRanks: Replaces sums by their mean over the ranks; nil for one rank. Collective.
///   - failure: Keeps an error of the pullback.
/// - Returns: The shape of `x`, and the moments.
public func batchNorm(
  _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Double = 1e-5, ranks: Int = 1,
  averageOverRanks: RankSumAverage? = nil, failure: RankFailure? = nil
) throws -> (y: Tensor, moments: BatchMoments) {
  let (rows, channels) = (x.rows, x.channels)
  require(weight.count == channels && bias.count == channels, "batchNorm: \(x.shape), weight \(weight.shape)")
  // Two passes: the variance of values with a large mean would cancel in one.
  var mean = channelSums(x) { value, _ in value }.map { $0 / Double(rows) }
  try averaged(&mean, averageOverRanks)
  var variance = channelSums(x) { value, channel in (value - mean[channel]) * (value - mean[channel]) }
    .map { $0 / Double(rows) }
  try averaged(&variance, averageOverRanks)
  let inverse = variance.map { 1 / ($0 + epsilon).squareRoot() }

  let normalized = Tensor(uninitialized: x.shape)
  let y = Tensor(uninitialized: x.shape)
  let shifts = zip(mean, inverse).map { Float(-$0 * $1) }
  let factors = inverse.map { Float($0) }
  parallelChunks(rows, of: 256) { range in
    for row in range {
      let start = row * channels
      for channel in 0..<channels {
        let value = x.pointer[start + channel] * factors[channel] + shifts[channel]
        normalized.pointer[start + channel] = value
        y.pointer[start + channel] = value * weight.pointer[channel] + bias.pointer[channel]
      }
    }
  }
  let result = y.recording(from: [x, weight, bias]) { dY in
    bias.node?.accumulate { dB, accumulating in
      columnSums(dY.pointer, into: dB.pointer, rows: rows, columns: channels, accumulating: accumulating)
    }
    weight.node?.accumulate { dW, accumulating in
      columnSums(
        dY.pointer, times: normalized.pointer, into: dW.pointer, rows: rows, columns: channels,
        accumulating: accumulating)
    }
    x.node?.accumulate { dX, accumulating in
      // dX = w/σ · (g − mean(g) − x̂·mean(g·x̂)), means over all ranks.
      var means = channelSums(dY) { value, _ in value }
      let products = Tensor(uninitialized: dY.shape)
      multiply(dY.pointer, normalized.pointer, into: products.pointer, count: dY.count)
      means += channelSums(products) { value, _ in value }
      means = means.map { $0 / Double(rows) }
      do {
        try averaged(&means, averageOverRanks)
      } catch {
        failure?.note(error)
      }
      parallelChunks(rows, of: 256) { range in
        for row in range {
          for channel in 0..<channels {
            let index = row * channels + channel
            let centred =
              dY.pointer[index] - Float(means[channel])
              - normalized.pointer[index] * Float(means[channels + channel])
            let value = weight.pointer[channel] * factors[channel] * centred
            dX.pointer[index] = accumulating ? dX.pointer[index] + value : value
          }
        }
      }
    }
  }
  return (result, BatchMoments(mean: mean, variance: variance, count: rows * ranks))
}

/// The first error of a collective operation inside a pullback, where nothing can be thrown.
public final class RankFailure {
  private var error: (any Error)?

  /// No failure yet.
  public init() {}

  fileprivate func note(_ error: any Error) { self.error = self.error ?? error }

  /// Throws what was noted. Call it after `backward`.
  public func check() throws {
    if let error { throw error }
  }
}

private func averaged(_ values: inout [Double], _ averageOverRanks: RankSumAverage?) throws {
  guard let averageOverRanks else { return }
  try values.withUnsafeMutableBufferPointer { try averageOverRanks($0) }
}

/// Sums of `f(value, channel)` over all rows in float64, in a fixed order whatever the thread count.
private func channelSums(_ x: Tensor, _ f: (Double, Int) -> Double) -> [Double] {
  let (rows, channels, chunk) = (x.rows, x.channels, 1024)
  let chunks = (rows + chunk - 1) / chunk
  var partial = [Double](repeating: 0, count: chunks * channels)
  partial.withUnsafeMutableBufferPointer { partial in
    nonisolated(unsafe) let partial = partial
    parallelFor(chunks) { index in
      for row in index * chunk..<min(rows, (index + 1) * chunk) {
        for channel in 0..<channels {
          partial[index * channels + channel] += f(Double(x.pointer[row * channels + channel]), channel)
        }
      }
    }
  }
  return (0..<channels).map { channel in
    (0..<chunks).reduce(0) { $0 + partial[$1 * channels + channel] }
  }
}
