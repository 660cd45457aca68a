import Foundation
import Tensors
import Testing

struct MarginLossTests {
  @Test(arguments: [Float(1), -1])
  func softplusMatchesItsDefinitionAndGradient(sign: Float) {
    let x = randomTensors([3, 4, 1], in: -6...6)
    let expected = x[0].values.reduce(0.0) { $0 + log(1 + exp(Double(sign * $1))) } / 12
    #expect(abs(Double(meanSoftplus(x[0], sign: sign).item) - expected) < 1e-6)
    expectGradient(of: { meanSoftplus($0[0], sign: sign) + meanSoftplus(2 * $0[0], sign: sign) }, at: x)
    #expect(meanSoftplus(Tensor([1e4], shape: [1]), sign: sign).item == (sign > 0 ? 1e4 : 0))
  }

  @Test(arguments: [Float(1), -1])
  func hingesMatchTheirDefinitionsAndGradients(sign: Float) {
    // Away from the kink, which lies where offset + sign·x = 0.
    let x = Tensor([-2.5, -0.75, 0.5, 1.25, 3], shape: [5])
    let excess = x.values.map { max(0, 0.25 + Double(sign * $0)) }
    #expect(abs(Double(meanHinge(x, offset: 0.25, sign: sign).item) - excess.reduce(0, +) / 5) < 1e-6)
    let squares = excess.reduce(0) { $0 + $1 * $1 } / 5
    #expect(abs(Double(meanSquaredHinge(x, offset: 0.25, sign: sign).item) - squares) < 1e-6)
    expectGradient(of: { meanHinge($0[0], offset: 0.25, sign: sign) }, at: [x])
    expectGradient(of: { meanSquaredHinge($0[0], offset: 0.25, sign: sign) }, at: [x])
  }

  @Test func meansOfSamplesMatchTheirDefinitionAndGradient() {
    let x = randomTensors([2, 3, 2, 1])
    let values = x[0].values
    let means = [values.prefix(6), values.suffix(6)].map { $0.reduce(0) { $0 + Double($1) } / 6 }
    #expect(largestDifference(sampleMeans(x[0]).values, means) < 1e-6)
    expectGradient(of: { sampleMeans($0[0]) + sampleMeans(3 * $0[0]) }, at: x)
  }

  @Test func aProjectionTakesItsDirectionIntoTheTape() {
    let tensors = randomTensors([2, 5], [2, 5])
    let x = tensors[0].trackingGradient
    (0.5 * projection(2 * x, onto: tensors[1])).backward()
    #expect(x.gradient.values == tensors[1].values)
  }
}
