import CKernels

/// Group normalisation of channels-last rows, optionally followed by SiLU.
///
/// Every sample's channels fall into `groups` equal groups; mean and variance are taken over a group's channels and all
/// positions. Memory is passed over twice in each direction. Chunks of rows are summed in float64 and combined in a
/// fixed order, so results do not depend on the number of threads.
public struct GroupNormalization: Sendable {
  /// Samples, positions per sample, channels and groups.
  public let samples: Int, positions: Int, channels: Int, groups: Int
  /// Added to the variance.
  public let epsilon: Float
  /// Whether SiLU follows.
  public let appliesSiLU: Bool

  /// - Precondition: `groups` divides `channels`.
  public init(samples: Int, positions: Int, channels: Int, groups: Int, epsilon: Float, appliesSiLU: Bool) {
    self.samples = samples
    self.positions = positions
    self.channels = channels
    self.groups = groups
    self.epsilon = epsilon
    self.appliesSiLU = appliesSiLU
  }

  /// A factor or a summand per channel: one row for all samples, or a row for each.
  public struct ChannelValues {
    let pointer: UnsafePointer<Float>
    let sampleStride: Int

    /// `channels` values, or `samples × channels` where `perSample`.
    public init(_ pointer: UnsafePointer<Float>, channels: Int, perSample: Bool) {
      self.pointer = pointer
      sampleStride = perSample ? channels : 0
    }
  }

  private var rowsPerChunk: Int { min(512, max(64, (1 << 15) / max(channels, 1))) }
  private var chunksPerSample: Int { (positions + rowsPerChunk - 1) / rowsPerChunk }

  /// Calls `body` for every chunk of rows of every sample with the offset of its first float.
  private func forEachChunk(_ body: (_ sample: Int, _ chunk: Int, _ rows: Int, _ offset: Int) -> Void) {
    let (chunk, chunks) = (rowsPerChunk, chunksPerSample)
    parallelFor(samples * chunks) { index in
      let (sample, part) = (index / chunks, index % chunks)
      let first = part * chunk
      body(sample, part, min(chunk, positions - first), (sample * positions + first) * channels)
    }
  }

  /// Writes the mean and the reciprocal standard deviation of every (sample, group).
  /// - Parameters:
  ///   - x: `samples × positions × channels`.
  ///   - statistics: `2 · samples · groups` floats: all means, then all reciprocal deviations.
  public func measure(_ x: UnsafePointer<Float>, into statistics: UnsafeMutablePointer<Float>) {
    let chunks = chunksPerSample
    // Per (sample, chunk): the groups' means, then their summed squared deviations.
    let moments = Float64Storage(count: samples * chunks * groups * 2)
    forEachChunk { sample, chunk, rows, offset in
      let out = moments.pointer + (sample * chunks + chunk) * 2 * groups
      measureChunk(x + offset, rows: rows, means: out, deviations: out + groups)
    }
    let width = Double(channels / groups)
    let total = Double(positions) * width
    for sample in 0..<samples {
      for group in 0..<groups {
        func rows(_ chunk: Int) -> Double { Double(min(rowsPerChunk, positions - chunk * rowsPerChunk)) * width }
        let first = moments.pointer + sample * chunks * 2 * groups + group
        var mean = 0.0
        for chunk in 0..<chunks { mean += first[chunk * 2 * groups] * rows(chunk) }
        mean /= total
        var deviation = 0.0
        for chunk in 0..<chunks {
          let distance = first[chunk * 2 * groups] - mean
          deviation += first[(chunk * 2 + 1) * groups] + distance * distance * rows(chunk)
        }
        statistics[sample * groups + group] = Float(mean)
        statistics[(samples + sample) * groups + group] = Float(1 / (deviation / total + Double(epsilon)).squareRoot())
      }
    }
  }

  /// The groups' means and summed squared deviations over a few rows.
  private func measureChunk(
    _ x: UnsafePointer<Float>, rows: Int, means: UnsafeMutablePointer<Double>,
    deviations: UnsafeMutablePointer<Double>
  ) {
    let sums = Float64Storage(count: 2 * channels)
    withScratch(3 * channels) { pivot in
      // Any point near the data serves; one row alone might hold an outlier.
      let pivotRows = min(rows, 16)
      kernels_fill(channels, 0, pivot)
      kernels_column_sums(pivotRows, channels, x, pivot)
      for channel in 0..<channels { pivot[channel] /= Float(pivotRows) }
      kernels_shifted_moments(rows, channels, x, pivot, pivot + channels, sums.pointer, sums.pointer + channels)
      kernels_group_moments(rows, channels, groups, pivot, sums.pointer, sums.pointer + channels, means, deviations)
    }
  }

  /// `y = f(x̂·weight + bias)` with `x̂ = (x − mean)·rstd` and `f` SiLU or the identity.
  public func apply(
    _ x: UnsafePointer<Float>, statistics: UnsafePointer<Float>, weight: ChannelValues?, bias: ChannelValues?,
    into y: UnsafeMutablePointer<Float>
  ) {
    let rows = channelRows(statistics, weight: weight, bias: bias)
    forEachChunk { sample, _, count, offset in
      let row = rows.pointer + sample * 4 * channels
      kernels_normalize(
        count, channels, x + offset, row, row + channels, row + 2 * channels, appliesSiLU ? 1 : 0, y + offset)
    }
  }

  /// Per sample four rows of channels: mean, gain = rstd·weight, bias and rstd.
  private func channelRows(
    _ statistics: UnsafePointer<Float>, weight: ChannelValues?, bias: ChannelValues?
  ) -> Storage {
    let rows = Storage(count: samples * 4 * channels)
    let width = channels / groups
    for sample in 0..<samples {
      let row = rows.pointer + sample * 4 * channels
      for channel in 0..<channels {
        let group = sample * groups + channel / width
        let rstd = statistics[samples * groups + group]
        row[channel] = statistics[group]
        row[channels + channel] = rstd * (weight.map { $0.pointer[sample * $0.sampleStride + channel] } ?? 1)
        row[2 * channels + channel] = bias.map { $0.pointer[sample * $0.sampleStride + channel] } ?? 0
        row[3 * channels + channel] = rstd
      }
    }
    return rows
  }

  /// Where a gradient goes, and whether it is added to what is there.
  public typealias Target = (pointer: UnsafeMutablePointer<Float>, accumulating: Bool)

  /// Gradients with respect to `x`, `weight` and `bias`. Targets of the latter two have their operands' shapes.
  public func applyGradient(
    _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, statistics: UnsafePointer<Float>, weight: ChannelValues?,
    bias: ChannelValues?, into dX: Target?, dWeight: Target?, dBias: Target?
  ) {
    let rows = channelRows(statistics, weight: weight, bias: bias)
    let sums = gradientSums(x, dY, rows: rows)
    for sample in 0..<samples {
      let row = rows.pointer + sample * 4 * channels
      let sum = sums.pointer + sample * 2 * channels
      // Σ dh·x̂ from Σ dh·(x − mean).
      for channel in 0..<channels { sum[channels + channel] *= Double(row[3 * channels + channel]) }
      if let dWeight, let weight {
        add(sum + channels, to: dWeight, sample: sample, stride: weight.sampleStride)
      }
      if let dBias, let bias { add(sum, to: dBias, sample: sample, stride: bias.sampleStride) }
    }
    guard let dX else { return }

    // With N values in a group and the sums over them: dx = gain·dh − rstd·Σ(w·dh)/N − x̂·rstd·Σ(w·dh·x̂)/N.
    let corrections = Storage(count: samples * 2 * channels)
    let width = channels / groups
    let count = Double(positions * width)
    for sample in 0..<samples {
      let row = rows.pointer + sample * 4 * channels
      let sum = sums.pointer + sample * 2 * channels
      let correction = corrections.pointer + sample * 2 * channels
      for group in 0..<groups {
        let range = group * width..<(group + 1) * width
        var (offset, slope) = (0.0, 0.0)
        for channel in range {
          offset += sum[channel] * Double(row[channels + channel])
          slope += sum[channels + channel] * Double(row[channels + channel])
        }
        let rstd = Double(row[3 * channels + range.lowerBound])
        for channel in range {
          correction[channel] = Float(offset / count)
          correction[channels + channel] = Float(slope * rstd / count)
        }
      }
    }
    forEachChunk { sample, _, count, offset in
      let row = rows.pointer + sample * 4 * channels
      let correction = corrections.pointer + sample * 2 * channels
      kernels_normalize_gradient(
        count, channels, x + offset, dY + offset, row, row + channels, row + 2 * channels, correction,
        correction + channels, appliesSiLU ? 1 : 0, dX.pointer + offset, dX.accumulating ? 1 : 0)
    }
  }

  /// Per sample and channel: Σ dh, then Σ dh·(x − mean).
  private func gradientSums(
    _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, rows: Storage
  ) -> Float64Storage {
    let chunks = chunksPerSample
    let partial = Float64Storage(count: samples * chunks * 2 * channels)
    forEachChunk { sample, chunk, count, offset in
      let row = rows.pointer + sample * 4 * channels
      let out = partial.pointer + (sample * chunks + chunk) * 2 * channels
      withScratch(2 * channels) { scratch in
        kernels_normalize_gradient_sums(
          count, channels, x + offset, dY + offset, row, row + channels, row + 2 * channels, appliesSiLU ? 1 : 0,
          scratch, out, out + channels)
      }
    }
    let sums = Float64Storage(count: samples * 2 * channels)
    for sample in 0..<samples {
      let sum = sums.pointer + sample * 2 * channels
      for channel in 0..<2 * channels { sum[channel] = 0 }
      for chunk in 0..<chunks {
        let part = partial.pointer + (sample * chunks + chunk) * 2 * channels
        for channel in 0..<2 * channels { sum[channel] += part[channel] }
      }
    }
    return sums
  }

  private func add(_ sums: UnsafePointer<Double>, to target: Target, sample: Int, stride: Int) {
    let out = target.pointer + sample * stride
    let overwrites = !target.accumulating && (sample == 0 || stride > 0)
    for channel in 0..<channels { out[channel] = (overwrites ? 0 : out[channel]) + Float(sums[channel]) }
  }
}
