import Foundation
import Tensors

/// A normalisation and its gradients by definition in float64, elementwise: what directional gradient checks cannot see
/// among many values, this does.
struct NormalizationReference {
  private(set) var y: [Double]
  private(set) var dX: [Double]
  /// Per sample and channel.
  private(set) var dWeight: [Double], dBias: [Double]

  /// - Parameters:
  ///   - x: Shape `[B, ..., C]`; statistics over all positions and a group's channels of each sample.
  ///   - dY: The gradient that flows in; zero if only `y` matters.
  ///   - isCentred: Whether the mean is subtracted; false for RMS norm.
  ///   - affine: Weight and bias of (channel, sample).
  init(
    _ x: Tensor, dY: Tensor? = nil, groups: Int, epsilon: Double, silu: Bool = false, isCentred: Bool = true,
    affine: (_ channel: Int, _ sample: Int) -> (Double, Double) = { _, _ in (1, 0) }
  ) {
    let (batch, channels) = (x.shape[0], x.channels)
    let (positions, width) = (x.rows / batch, channels / groups)
    let values = x.values.map(Double.init)
    let dOut = dY?.values.map(Double.init) ?? [Double](repeating: 0, count: x.count)
    y = [Double](repeating: 0, count: x.count)
    dX = y
    dWeight = [Double](repeating: 0, count: batch * channels)
    dBias = dWeight
    for sample in 0..<batch {
      for group in 0..<groups {
        let indices = (0..<positions).flatMap { position in
          (0..<width).map { (sample * positions + position) * channels + group * width + $0 }
        }
        let count = Double(indices.count)
        let mean = isCentred ? indices.reduce(0) { $0 + values[$1] } / count : 0
        let variance = indices.reduce(0) { $0 + (values[$1] - mean) * (values[$1] - mean) } / count
        let deviation = (variance + epsilon).squareRoot()
        var (slopes, sum, dot) = ([Double](), 0.0, 0.0)
        for index in indices {
          let channel = index % channels
          let (weight, bias) = affine(channel, sample)
          let normal = (values[index] - mean) / deviation
          let h = normal * weight + bias
          let sigmoid = 1 / (1 + exp(-h))
          y[index] = silu ? h * sigmoid : h
          let dH = dOut[index] * (silu ? sigmoid * (1 + h * (1 - sigmoid)) : 1)
          dWeight[sample * channels + channel] += dH * normal
          dBias[sample * channels + channel] += dH
          slopes.append(dH * weight)
          sum += dH * weight
          dot += dH * weight * normal
        }
        for (index, slope) in zip(indices, slopes) {
          let normal = (values[index] - mean) / deviation
          dX[index] = (slope - (isCentred ? sum / count : 0) - normal * dot / count) / deviation
        }
      }
    }
  }

  /// Per-sample gradients summed over the samples.
  func overSamples(_ gradient: [Double], channels: Int) -> [Double] {
    (0..<channels).map { channel in
      stride(from: channel, to: gradient.count, by: channels).reduce(0) { $0 + gradient[$1] }
    }
  }
}
