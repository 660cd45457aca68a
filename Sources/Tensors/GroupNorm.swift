import Kernels

/// What follows a group normalisation in the same pass over memory.
public enum NormActivation: Sendable, Equatable {
  /// Nothing.
  case none
  /// `h·σ(h)`.
  case silu
}

/// Group normalisation over all positions and a group's channels, then an affine map per channel, then `activation`.
///
/// Keeps the mean and the reciprocal deviation of each (sample, group); everything else is recomputed backwards.
/// - Parameters:
///   - x: Shape `[B, ..., C]`; everything between the first and the last axis is a position.
///   - groups: Divides `C`; group `g` holds the channels `g·C/groups ..< (g + 1)·C/groups`.
///   - weight: Shape `[C]`, or nil for 1.
///   - bias: Shape `[C]`, or nil for 0.
///   - epsilon: Added to the (biased) variance.
///   - activation: What follows the affine map.
/// - Returns: The shape of `x`.
/// - Complexity: Two passes over memory forward, two backward.
public func groupNorm(
  _ x: Tensor, groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Float = 1e-6,
  activation: NormActivation = .none
) -> Tensor {
  require(
    (weight.map { $0.count == x.channels } ?? true) && (bias.map { $0.count == x.channels } ?? true),
    "groupNorm: x \(x.shape), weight \(weight?.shape ?? []), bias \(bias?.shape ?? [])")
  return groupNorm(
    x, groups: groups, weight: weight, bias: bias, perSample: false, epsilon: epsilon, activation: activation)
}

/// Group normalisation whose scale and shift come from elsewhere, per sample: `x̂·scale[b, c] + shift[b, c]`.
///
/// The decoder of MergeVQ normalises so at the start of each level, with scale and shift computed from its input tokens.
/// - Parameters:
///   - x: Shape `[B, ..., C]`.
///   - groups: Divides `C`.
///   - scale: Shape `[B, C]`. There is no "1 +".
///   - shift: Shape `[B, C]`.
///   - epsilon: Added to the (biased) variance.
/// - Returns: The shape of `x`.
public func adaptiveGroupNorm(
  _ x: Tensor, groups: Int = 32, scale: Tensor, shift: Tensor, epsilon: Float = 1e-6
) -> Tensor {
  require(
    scale.shape == [x.shape.first ?? 1, x.channels] && shift.shape == scale.shape,
    "adaptiveGroupNorm: x \(x.shape), scale \(scale.shape), shift \(shift.shape)")
  return groupNorm(
    x, groups: groups, weight: scale, bias: shift, perSample: true, epsilon: epsilon, activation: .none)
}

private func groupNorm(
  _ x: Tensor, groups: Int, weight: Tensor?, bias: Tensor?, perSample: Bool, epsilon: Float,
  activation: NormActivation
) -> Tensor {
  require(
    x.dimensionCount >= 2 && groups > 0 && x.channels % groups == 0 && x.count > 0,
    "groupNorm: \(groups) groups of x \(x.shape)")
  let samples = x.shape[0]
  let channels = x.channels
  let norm = GroupNormalization(
    samples: samples, positions: x.rows / samples, channels: channels, groups: groups, epsilon: epsilon,
    appliesSiLU: activation == .silu)
  func values(_ tensor: Tensor?) -> GroupNormalization.ChannelValues? {
    tensor.map { .init($0.pointer, channels: channels, perSample: perSample) }
  }
  let statistics = Tensor(uninitialized: [2, samples, groups])
  norm.measure(x.pointer, into: statistics.pointer)
  func normalized() -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    norm.apply(
      x.pointer, statistics: statistics.pointer, weight: values(weight), bias: values(bias), into: y.pointer)
    return y
  }

  return normalized().recording(from: [x, weight, bias], recompute: normalized) { dY in
    // One kernel writes up to three gradients, so their buffers are opened one inside the other.
    open(x.node) { dX in
      open(weight?.node) { dWeight in
        open(bias?.node) { dBias in
          norm.applyGradient(
            x.pointer, dY.pointer, statistics: statistics.pointer, weight: values(weight), bias: values(bias),
            into: dX, dWeight: dWeight, dBias: dBias)
        }
      }
    }
  }
}

/// Calls `body` with the node's gradient buffer, or with nil where there is no node.
private func open(_ node: GradientNode?, _ body: (GroupNormalization.Target?) -> Void) {
  guard let node else { return body(nil) }
  node.accumulate { gradient, accumulating in body((gradient.pointer, accumulating)) }
}

/// What the decoder's adaptive normalisation reads off its input: per sample and channel, deviation and mean over tokens.
/// - Parameters:
///   - z: Shape `[B, L, D]`, `L ≥ 2`.
///   - epsilon: Added to the variance.
/// - Returns: `deviation = √(unbiased variance over L + epsilon)` and `mean`, each of shape `[B, D]`.
public func channelMoments(_ z: Tensor, epsilon: Float = 1e-6) -> (deviation: Tensor, mean: Tensor) {
  require(z.dimensionCount == 3 && z.shape[1] >= 2, "channelMoments: \(z.shape)")
  let (batch, length, channels) = (z.shape[0], z.shape[1], z.shape[2])
  let mean = Tensor(uninitialized: [batch, channels])
  let deviation = Tensor(uninitialized: [batch, channels])
  for sample in 0..<batch {
    let rows = z.pointer + sample * length * channels
    for channel in 0..<channels {
      var (total, squares) = (0.0, 0.0)
      for row in 0..<length { total += Double(rows[row * channels + channel]) }
      let center = total / Double(length)
      for row in 0..<length {
        let distance = Double(rows[row * channels + channel]) - center
        squares += distance * distance
      }
      mean.pointer[sample * channels + channel] = Float(center)
      deviation.pointer[sample * channels + channel] =
        Float((squares / Double(length - 1) + Double(epsilon)).squareRoot())
    }
  }

  /// `dZ[b, l, d] (+)= gradient(b·D + d, z[b, l, d])`.
  func spread(into node: GradientNode?, _ gradient: (_ index: Int, _ value: Float) -> Float) {
    node?.accumulate { dZ, accumulating in
      for row in 0..<batch * length {
        let sample = row / length
        for channel in 0..<channels {
          let index = row * channels + channel
          let value = gradient(sample * channels + channel, z.pointer[index])
          dZ.pointer[index] = (accumulating ? dZ.pointer[index] : 0) + value
        }
      }
    }
  }
  let recordedMean = mean.recording(from: [z]) { dMean in
    spread(into: z.node) { index, _ in dMean.pointer[index] / Float(length) }
  }
  let recordedDeviation = deviation.recording(from: [z]) { dDeviation in
    spread(into: z.node) { index, value in
      dDeviation.pointer[index] * (value - mean.pointer[index]) / (Float(length - 1) * deviation.pointer[index])
    }
  }
  return (recordedDeviation, recordedMean)
}
