import Testing

@testable import Optimizers

struct AdamTests {
  @Test(arguments: [1, 7, 64, 70_000], [Adam.WeightDecayForm.decoupled, .coupled])
  func followsTheNaiveLoopInDoublePrecision(count: Int, form: Adam.WeightDecayForm) {
    var values = randomFloats(count, seed: 1)
    var average = values
    var reference = ReferenceAdam(values)
    reference.weightDecay = 0.05
    reference.isDecoupled = form == .decoupled
    let adam = Adam(range: 0..<count, settings: .init(weightDecay: 0.05, weightDecayForm: form))
    for step in 0..<20 {
      let gradients = randomFloats(count, in: -0.01...0.01, seed: UInt64(100 + step))
      reference.step(gradients, learningRate: 1e-2, scale: 0.3, averageDecay: 0.9)
      apply(adam, to: &values, gradients, learningRate: 1e-2, scale: 0.3, average: &average, decay: 0.9)
    }
    #expect(zip(values, reference.values).allSatisfy { abs(Double($0) - $1) < 2e-6 })
    #expect(zip(average, reference.average).allSatisfy { abs(Double($0) - $1) < 2e-6 })
    #expect(adam.completedSteps == 20)
  }

  /// torch.optim.AdamW([1, -2, 0.5], lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.05), float64, gradients
  /// [0.1, -0.2, 0] and then [0.3, 0.1, -1]; worked by hand from the rule in PyTorch's documentation.
  @Test func twoStepsGiveTheDocumentedValues() {
    var values: [Float] = [1, -2, 0.5]
    let adam = Adam(range: 0..<3, settings: .init(beta1: 0.9, beta2: 0.95, weightDecay: 0.05))
    apply(adam, to: &values, [0.1, -0.2, 0], learningRate: 0.1)
    expectClose(values, [0.895000010, -1.890000005, 0.497500000])
    apply(adam, to: &values, [0.3, 0.1, -1], learningRate: 0.1)
    expectClose(values, [0.799655800, -1.853713062, 0.568508499])
  }

  @Test func rangesOfTheArenaMakeUpTheWhole() {
    let count = 1001
    let groups = [
      ParameterGroup(range: 100..<300, learningRateScale: 0.5, weightDecay: 0),
      ParameterGroup(range: 640..<641, learningRateScale: 0),
      ParameterGroup(range: 300..<420, weightDecay: 0.2),
    ]
    let settings = Adam.Settings(weightDecay: 0.1)
    let start = randomFloats(count, seed: 3)
    let gradients = randomFloats(count, seed: 4)
    var whole = start
    apply(Adam(range: 0..<count, settings: settings, groups: groups), to: &whole, gradients, learningRate: 1e-2)
    var parts: [Float] = []
    for range in [0..<150, 150..<150, 150..<641, 641..<count] {
      var part = Array(start[range])
      let adam = Adam(range: range, settings: settings, groups: groups)
      apply(adam, to: &part, Array(gradients[range]), learningRate: 1e-2)
      parts += part
    }
    #expect(parts == whole)
    #expect(whole[640] == start[640])
  }

  @Test func groupsReplaceDecayAndScaleTheRate() {
    let groups = [
      ParameterGroup(range: 1..<2, weightDecay: 0), ParameterGroup(range: 2..<3, learningRateScale: 0.5),
    ]
    var values: [Float] = [1, 1, 1]
    let adam = Adam(range: 0..<3, settings: .init(weightDecay: 0.5), groups: groups)
    apply(adam, to: &values, [2, 2, 2], learningRate: 0.1)
    expectClose(values, [1 - 0.1 * 0.5 - 0.1, 0.9, 0.95])
  }

  @Test func continuesFromStoredMoments() {
    let count = 33
    var straight = randomFloats(count, seed: 5)
    let gradients = (0..<6).map { randomFloats(count, seed: UInt64(50 + $0)) }
    let first = Adam(range: 0..<count)
    for step in 0..<3 { apply(first, to: &straight, gradients[step], learningRate: 1e-3) }
    var resumed = straight
    let second = Adam(range: 0..<count)
    second.completedSteps = first.completedSteps
    _ = second.firstMoments.update(fromContentsOf: first.firstMoments)
    _ = second.secondMoments.update(fromContentsOf: first.secondMoments)
    for step in 3..<6 {
      apply(first, to: &straight, gradients[step], learningRate: 1e-3)
      apply(second, to: &resumed, gradients[step], learningRate: 1e-3)
    }
    #expect(resumed == straight)
  }

  @Test func neighbouringGroupsWithEqualSettingsBecomeOneSegment() {
    let groups = (0..<100).map { ParameterGroup(range: $0 * 10..<$0 * 10 + 10, weightDecay: $0 < 50 ? 0 : 0.1) }
    let segments = ParameterGroup.segments(of: 5..<995, groups: groups.reversed(), weightDecay: 0.1)
    #expect(segments.map(\.range) == [5..<500, 500..<995])
  }

  @Test func overlappingGroupsStopTheProgram() async {
    await #expect(processExitsWith: .failure) {
      _ = Adam(range: 0..<10, groups: [ParameterGroup(range: 0..<5), ParameterGroup(range: 4..<8)])
    }
  }
}

private func expectClose(_ values: [Float], _ expected: [Double]) {
  for (value, expected) in zip(values, expected) { #expect(abs(Double(value) - expected) < 1e-6) }
}

private func apply(
  _ adam: Adam, to values: inout [Float], _ gradients: [Float], learningRate: Double, scale: Double = 1
) {
  values.withUnsafeMutableBufferPointer { values in
    gradients.withUnsafeBufferPointer {
      adam.step(values, gradients: $0, learningRate: learningRate, gradientScale: scale)
    }
  }
}

private func apply(
  _ adam: Adam, to values: inout [Float], _ gradients: [Float], learningRate: Double, scale: Double,
  average: inout [Float], decay: Double
) {
  values.withUnsafeMutableBufferPointer { values in
    average.withUnsafeMutableBufferPointer { average in
      gradients.withUnsafeBufferPointer {
        adam.step(
          values, gradients: $0, learningRate: learningRate, gradientScale: scale, average: (average, decay))
      }
    }
  }
}
