import Foundation

/// How far the largest of several random values lies above their mean: what a step waits for its slowest rank.
public enum OrderStatistics {
  /// The expected maximum of `count` independent standard normal values, in standard deviations:
  /// `∫₀^∞ (1 − Φ(x)ⁿ) dx − ∫₋∞⁰ Φ(x)ⁿ dx` (David & Nagaraja, "Order Statistics", 2003, section 3.1), by Simpson's
  /// rule.
  public static func expectedMaximum(ofNormals count: Int) -> Double {
    guard count > 1 else { return 0 }
    func cumulative(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }
    // log Φ(x)ⁿ stays exact where Φ is close to 1: 1 − Φ(x)ⁿ = −expm1(n·log(1 − (1 − Φ(x)))).
    func above(_ x: Double) -> Double { -expm1(Double(count) * log1p(-cumulative(-x))) }
    func below(_ x: Double) -> Double { pow(cumulative(-x), Double(count)) }
    return integral(of: above, to: 12) - integral(of: below, to: 12)
  }

  /// `∫₀^end f(x) dx`.
  private static func integral(of function: (Double) -> Double, to end: Double) -> Double {
    let parts = 4000
    let width = end / Double(parts)
    let inner = (1..<parts).reduce(0.0) { $0 + ($1.isMultiple(of: 2) ? 2 : 4) * function(Double($1) * width) }
    return (function(0) + inner + function(end)) * width / 3
  }
}
