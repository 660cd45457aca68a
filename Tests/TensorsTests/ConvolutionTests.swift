import Layers
import Tensors
import Testing

struct ConvolutionTests {
  /// One convolution to try.
  struct Case: CustomTestStringConvertible {
    var batch = 1, height = 5, width = 7
    var inputs = 3, outputs = 5
    var kernel = (3, 3)
    var stride = 1
    var padding: Padding = 1
    var testDescription: String {
      "\(batch)×\(height)×\(width)×\(inputs) by \(kernel)→\(outputs), stride \(stride), padding \(padding)"
    }

    func tensors(seed: UInt64 = 1) -> [Tensor] {
      randomTensors(
        [batch, height, width, inputs], [kernel.0, kernel.1, inputs, outputs], [outputs], seed: seed)
    }
  }

  static let cases: [Case] = [
    Case(),
    Case(height: 1, width: 1),
    Case(batch: 3, height: 13, width: 9, inputs: 3, outputs: 64),
    Case(batch: 2, height: 8, width: 11, inputs: 64, outputs: 3),
    Case(height: 6, width: 6, inputs: 18, outputs: 130),
    Case(batch: 2, height: 9, width: 8, inputs: 20, outputs: 24, stride: 2),
    Case(height: 7, width: 10, inputs: 5, outputs: 4, stride: 3, padding: 0),
    Case(batch: 2, height: 12, width: 10, inputs: 3, outputs: 8, kernel: (4, 4), stride: 2),
    Case(height: 9, width: 9, inputs: 6, outputs: 1, kernel: (4, 4), stride: 1),
    Case(batch: 2, height: 12, width: 8, inputs: 3, outputs: 10, kernel: (4, 4), stride: 4, padding: 0),
    Case(height: 11, width: 9, inputs: 4, outputs: 6, kernel: (1, 7), padding: Padding(vertical: 0, horizontal: 3)),
    Case(height: 11, width: 9, inputs: 4, outputs: 6, kernel: (7, 1), padding: Padding(vertical: 3, horizontal: 0)),
    Case(height: 6, width: 5, inputs: 7, outputs: 9, kernel: (1, 1), padding: 0),
    Case(height: 7, width: 5, inputs: 7, outputs: 9, kernel: (1, 1), stride: 2, padding: 0),
    Case(height: 3, width: 2, inputs: 2, outputs: 2, kernel: (2, 2), padding: 3),
    Case(height: 40, width: 37, inputs: 3, outputs: 4, kernel: (3, 3)),
  ]

  @Test(arguments: cases, [ConvolutionAlgorithm.automatic, .gemm])
  func aConvolutionMatchesItsDefinition(_ given: Case, algorithm: ConvolutionAlgorithm) {
    let tensors = given.tensors()
    for bias in [tensors[2], nil] {
      let y = convolution(
        tensors[0], weight: tensors[1], bias: bias, stride: given.stride, padding: given.padding, algorithm: algorithm)
      let expected = referenceConvolution(
        tensors[0], weight: tensors[1], bias: bias, stride: given.stride, padding: given.padding)
      #expect(relativeError(y.values, expected) < (algorithm == .gemm ? 3e-6 : 2e-5))
    }
  }

  @Test(arguments: cases)
  func theGradientsOfAConvolution(_ given: Case) {
    expectGradient(
      of: { convolution($0[0], weight: $0[1], bias: $0[2], stride: given.stride, padding: given.padding) },
      at: given.tensors(seed: 2))
  }

  /// Ragged tiles, channels below and between multiples of 16 and 64, and enough of both for every way of cutting work.
  static let winogradCases: [Case] = [
    Case(),
    Case(height: 1, width: 1),
    Case(batch: 3, height: 4, width: 8, inputs: 16, outputs: 64),
    Case(batch: 2, height: 13, width: 9, inputs: 70, outputs: 81),
    Case(height: 7, width: 6, inputs: 18, outputs: 512),
    Case(height: 6, width: 5, inputs: 512, outputs: 24),
    Case(height: 50, width: 43, inputs: 5, outputs: 33),
    Case(batch: 2, height: 9, width: 10, inputs: 192, outputs: 128),
    Case(height: 6, width: 6, inputs: 400, outputs: 400),
  ]

  @Test(arguments: winogradCases, [ConvolutionAlgorithm.winograd4, .winograd2])
  func winogradMatchesTheDefinition(_ given: Case, algorithm: ConvolutionAlgorithm) {
    let tensors = given.tensors(seed: 4)
    let y = convolution(
      tensors[0], weight: tensors[1], bias: tensors[2], padding: 1, algorithm: algorithm)
    let expected = referenceConvolution(tensors[0], weight: tensors[1], bias: tensors[2], stride: 1, padding: 1)
    #expect(relativeError(y.values, expected) < (algorithm == .winograd4 ? 2e-5 : 2e-6))
  }

  @Test(arguments: winogradCases, [ConvolutionAlgorithm.winograd4, .winograd2])
  func winogradGradientsMatchThoseOfProducts(_ given: Case, algorithm: ConvolutionAlgorithm) {
    for (found, expected) in zip(gradients(of: given, algorithm), gradients(of: given, .gemm)) {
      #expect(relativeError(found, expected.map(Double.init)) < (algorithm == .winograd4 ? 2e-5 : 3e-6))
    }
  }

  /// A few channels on one side and whole vectors on the other: rows for two threads, windows that reach far outside,
  /// and enough pixels for several sums of each weight's gradient.
  static let thinCases: [Case] = [
    Case(batch: 2, height: 37, width: 6, inputs: 16, outputs: 3),
    Case(batch: 2, height: 35, width: 5, inputs: 3, outputs: 32),
    Case(height: 9, width: 8, inputs: 64, outputs: 1, kernel: (4, 4)),
    Case(batch: 2, height: 67, width: 6, inputs: 3, outputs: 16, kernel: (4, 4), stride: 2),
    Case(height: 66, width: 6, inputs: 3, outputs: 16, kernel: (2, 5), stride: 3, padding: 2),
    Case(height: 5, width: 4, inputs: 16, outputs: 2, kernel: (2, 2), padding: 3),
    Case(height: 97, width: 90, inputs: 16, outputs: 1),
    Case(height: 97, width: 90, inputs: 1, outputs: 16),
  ]

  @Test(arguments: thinCases)
  func thinSidesMatchTheDefinition(_ given: Case) {
    let tensors = given.tensors(seed: 4)
    let y = convolution(
      tensors[0], weight: tensors[1], bias: tensors[2], stride: given.stride, padding: given.padding)
    let expected = referenceConvolution(
      tensors[0], weight: tensors[1], bias: tensors[2], stride: given.stride, padding: given.padding)
    #expect(relativeError(y.values, expected) < 2e-6)
  }

  @Test(arguments: thinCases)
  func gradientsOfThinSidesMatchThoseOfProducts(_ given: Case) {
    for (found, expected) in zip(gradients(of: given, .automatic), gradients(of: given, .gemm)) {
      #expect(relativeError(found, expected.map(Double.init)) < 3e-6)
    }
  }

  /// The gradients of input, weight and bias. The input enters twice, so that its gradient and the weight's are added to
  /// as well as written.
  private func gradients(of given: Case, _ algorithm: ConvolutionAlgorithm) -> [[Float]] {
    let leaves = given.tensors(seed: 5).map(\.trackingGradient)
    let once = convolution(
      leaves[0], weight: leaves[1], bias: leaves[2], stride: given.stride, padding: given.padding, algorithm: algorithm)
    let again = convolution(
      0.5 * leaves[0], weight: leaves[1], stride: given.stride, padding: given.padding, algorithm: algorithm)
    let y = once + again
    y.backward(from: randomTensors(y.shape, seed: 6)[0])
    return leaves.map(\.gradient.values)
  }

  @Test(arguments: [1, 2])
  func gradientsAddToWhatIsThere(stride: Int) {
    // Both uses of x and of the weight add to the same buffers.
    expectGradient(
      of: { inputs in
        let once = convolution(inputs[0], weight: inputs[1], bias: inputs[2], stride: stride, padding: 1)
        let twice = convolution(inputs[0] + inputs[0], weight: inputs[1], stride: stride, padding: 1)
        return once * once + twice
      }, at: Case(height: 6, width: 5, inputs: 4, outputs: 6).tensors(seed: 3))
  }

  @Test(arguments: [(1, 1, 1, 1), (2, 4, 5, 3), (1, 7, 3, 32), (3, 5, 5, 70)])
  func aDepthwiseConvolutionMatchesItsDefinitionAndGradient(batch: Int, height: Int, width: Int, channels: Int) {
    let tensors = randomTensors([batch, height, width, channels], [3, 3, channels], [channels])
    let (x, w, b) = (tensors[0].values, tensors[1].values, tensors[2].values)
    var expected: [Double] = []
    for index in x.indices {
      let (c, pixel) = (index % channels, index / channels)
      let (i, j, n) = (pixel / width % height, pixel % width, pixel / width / height)
      var sum = Double(b[c])
      for tap in 0..<9 {
        let (row, column) = (i + tap / 3 - 1, j + tap % 3 - 1)
        guard (0..<height).contains(row), (0..<width).contains(column) else { continue }
        sum += Double(x[((n * height + row) * width + column) * channels + c]) * Double(w[tap * channels + c])
      }
      expected.append(sum)
    }
    let y = depthwiseConvolution(tensors[0], weight: tensors[1], bias: tensors[2])
    #expect(relativeError(y.values, expected) < 1e-6)
    expectGradient(of: { depthwiseConvolution($0[0], weight: $0[1], bias: $0[2]) }, at: tensors)
    expectGradient(
      of: { depthwiseConvolution($0[0] + depthwiseConvolution($0[0], weight: $0[1]), weight: $0[1]) }, at: tensors)
  }

  @Test func depthToSpaceIsBlockMajor() {
    let x = randomTensors([2, 3, 5, 12])[0]
    let y = depthToSpace(x)
    #expect(y.shape == [2, 6, 10, 3])
    // y[1, 2·2 + 1, 2·4 + 0, 2] = x[1, 2, 4, (2·1 + 0)·3 + 2]
    let (target, source) = (((6 + 5) * 10 + 8) * 3 + 2, ((3 + 2) * 5 + 4) * 12 + 8)
    #expect(y.values[target] == x.values[source])
    #expect(y.values.sorted() == x.values.sorted())
    expectGradient(of: { depthToSpace($0[0]) * depthToSpace($0[1]) }, at: randomTensors([1, 3, 5, 12], [1, 3, 5, 12]))
  }

  @Test func layersHavePublishedShapesAndPyTorchsInitialRange() {
    var random = SplitMix64(seed: 5)
    let layer = Convolution(inputChannels: 6, outputChannels: 4, kernelSize: 5, stride: 2, padding: 2, using: &random)
    #expect(layer.parameters.map(\.name) == ["weight", "bias"])
    #expect(layer.weight.shape == [5, 5, 6, 4] && layer.weight.publishedShape == [4, 6, 5, 5])
    #expect(layer(Tensor(repeating: 1, shape: [1, 9, 8, 6])).shape == [1, 5, 4, 4])
    let bound = 1 / Float(150).squareRoot()
    let values = layer.weight.value.values + (layer.bias?.value.values ?? [])
    #expect(values.allSatisfy { abs($0) <= bound } && values.contains { abs($0) > 0.9 * bound })

    let wide = Convolution(
      inputChannels: 2, outputChannels: 3, kernelHeight: 1, kernelWidth: 7,
      padding: Padding(vertical: 0, horizontal: 3), hasBias: false, using: &random)
    #expect(wide.parameterCount == 42 && wide.bias == nil)
    #expect(wide(Tensor(repeating: 1, shape: [1, 4, 9, 2])).shape == [1, 4, 9, 3])

    let depthwise = DepthwiseConvolution(channels: 7, using: &random)
    #expect(depthwise.weight.shape == [3, 3, 7] && depthwise.weight.publishedShape == [7, 1, 3, 3])
    #expect(depthwise.weight.value.values.allSatisfy { abs($0) <= 1 / 3 } && depthwise.parameterCount == 70)
    #expect(depthwise(Tensor(repeating: 1, shape: [2, 4, 4, 7])).shape == [2, 4, 4, 7])
  }

  @Test func aLayersGradientReachesItsParameters() {
    var random = SplitMix64(seed: 6)
    let layer = Convolution(inputChannels: 3, outputChannels: 4, padding: 1, using: &random)
    let depthwise = DepthwiseConvolution(channels: 4, using: &random)
    let x = randomTensors([2, 5, 4, 3])[0]
    let arena = ParameterArena(layer.parameters + depthwise.parameters)
    arena.startStep()
    mean(depthwise(layer(x))).backward()
    arena.finishGradients()
    expectGradient(
      of: { depthwiseConvolution(layer($0[0]), weight: $0[1], bias: $0[2]) },
      at: [x] + depthwise.parameters.map(\.parameter.value.detached))
    #expect(arena.gradients.contains { $0 != 0 })
    // d mean / d bias of the last layer is one over its channels.
    #expect(depthwise.bias?.gradient.values.allSatisfy { abs($0 - 0.25) < 1e-6 } == true)
  }
}
