import Foundation

/// A mean of repeated measurements with its confidence interval.
public struct Estimate: Codable, Sendable, Equatable {
  /// The mean.
  public let mean: Double
  /// Half of the width of the 95 % interval around it, by Student's t; infinite for a single measurement.
  public let halfWidth: Double

  /// Estimates from independent measurements; at least one.
  public init(_ values: [Double]) {
    precondition(!values.isEmpty, "an estimate of nothing")
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    self.mean = mean
    guard values.count > 1 else {
      halfWidth = .infinity
      return
    }
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    halfWidth = Self.studentQuantile(0.975, degreesOfFreedom: values.count - 1) * (variance / count).squareRoot()
  }

  /// The value below which Student's t with so many degrees of freedom lies with a probability from 0.5 to 1.
  ///
  /// With `t = √ν·tan θ`, `P(T ≤ t) = ½ + Γ((ν+1)/2) / (√π·Γ(ν/2)) · ∫₀^θ cos^(ν−1)`, inverted by bisection.
  static func studentQuantile(_ probability: Double, degreesOfFreedom: Int) -> Double {
    let degrees = Double(degreesOfFreedom)
    let scale = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / Double.pi.squareRoot()
    func cumulative(_ angle: Double) -> Double {
      let parts = 400
      let width = angle / Double(parts)
      let sum = (0..<parts).reduce(0.0) { $0 + pow(cos((Double($1) + 0.5) * width), degrees - 1) }
      return 0.5 + scale * sum * width
    }
    var (low, high) = (0.0, Double.pi / 2)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if cumulative(middle) < probability { low = middle } else { high = middle }
    }
    return degrees.squareRoot() * tan(low)
  }
}

/// The middle value, or the mean of the two middle ones; at least one value.
public func median(_ values: [Double]) -> Double {
  precondition(!values.isEmpty, "the median of nothing")
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
