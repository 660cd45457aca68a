// The three passes of a convolution. Images are `[batch, height, width, channels]`, weights
// `[kernelHeight, kernelWidth, inputChannels, outputChannels]`, all contiguous.

/// `y[n, i, j, o] = bias[o] + Σ x[n, i·stride + a − padding, j·stride + b − padding, c]·weight[a, b, c, o]`.
public func convolution(
  _ x: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?,
  into y: UnsafeMutablePointer<Float>, _ shape: ConvolutionShape, algorithm: ConvolutionAlgorithm = .automatic
) {
  if algorithm == .automatic && shape.isThinAtOutput {
    return convolutionToThin(x, weight: weight, bias: bias, into: y, shape)
  }
  guard let tile = shape.winogradTile(algorithm, channelsRead: shape.inputChannels) else {
    return convolutionByColumns(x, weight: weight, bias: bias, into: y, shape)
  }
  let winograd = WinogradConvolution(
    tile: tile, batch: shape.batch, height: shape.height, width: shape.width, inputs: shape.inputChannels,
    outputs: shape.outputChannels, transposed: false)
  winograd.run(x, weight: weight, bias: bias, into: y, accumulating: false)
}

/// The gradient with respect to the input: `dX (+)= Σ dY·weight` over every window that saw the pixel.
public func convolutionInputGradient(
  _ dY: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool, algorithm: ConvolutionAlgorithm = .automatic
) {
  if algorithm == .automatic && shape.isThinAtInput {
    return inputGradientToThin(dY, weight: weight, into: dX, shape, accumulating: accumulating)
  }
  if algorithm == .automatic && shape.isThinAtOutput {
    return inputGradientFromThin(dY, weight: weight, into: dX, shape, accumulating: accumulating)
  }
  guard let tile = shape.winogradTile(algorithm, channelsRead: shape.outputChannels) else {
    return inputGradientByTaps(dY, weight: weight, into: dX, shape, accumulating: accumulating)
  }
  let winograd = WinogradConvolution(
    tile: tile, batch: shape.batch, height: shape.height, width: shape.width, inputs: shape.outputChannels,
    outputs: shape.inputChannels, transposed: true)
  winograd.run(dY, weight: weight, bias: nil, into: dX, accumulating: accumulating)
}

/// The gradient with respect to the weights: `dW[a, b, c, o] (+)= Σ x·dY` over all windows.
public func convolutionWeightGradient(
  _ x: UnsafeMutablePointer<Float>, _ dY: UnsafeMutablePointer<Float>, into dW: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool, algorithm: ConvolutionAlgorithm = .automatic
) {
  if algorithm == .automatic && (shape.isThinAtInput || shape.isThinAtOutput) {
    return weightGradientOfThin(x, dY, into: dW, shape, accumulating: accumulating)
  }
  guard let tile = shape.winogradTile(algorithm, channelsRead: shape.inputChannels) else {
    return weightGradientByColumns(x, dY, into: dW, shape, accumulating: accumulating)
  }
  let winograd = WinogradWeightGradient(
    tile: tile, batch: shape.batch, height: shape.height, width: shape.width, inputs: shape.inputChannels,
    outputs: shape.outputChannels)
  winograd.run(x, dY, into: dW, accumulating: accumulating)
}

/// What `ConvolutionAlgorithm.automatic` prefers for 3×3 windows.
public enum ConvolutionPrecision: String, Codable, Sendable, CaseIterable {
  /// F(4×4): errors up to 1.3e-5 of the largest value, twice as fast.
  case fast
  /// F(2×2): errors up to 8e-7 of the largest value, as exact as summing directly.
  case accurate

  /// The choice in force; set it around a whole step with `$current.withValue`, so that both directions agree.
  @TaskLocal public static var current = ConvolutionPrecision.fast

  fileprivate var winogradTile: Int { self == .fast ? 4 : 2 }
}

extension ConvolutionShape {
  /// The tile of the Winograd variant to use, or nil for matrix products over windows.
  fileprivate func winogradTile(_ algorithm: ConvolutionAlgorithm, channelsRead: Int) -> Int? {
    guard kernelHeight == 3, kernelWidth == 3, stride == 1, verticalPadding == 1, horizontalPadding == 1 else {
      return nil
    }
    switch algorithm {
    case .gemm: return nil
    case .winograd2: return 2
    case .winograd4: return 4
    case .automatic:
      // Channels are filled up to 16 and tiles to 4 × 4. Where most of what is read would be filling, products win.
      return channelsRead >= 8 && min(height, width) >= 3 ? ConvolutionPrecision.current.winogradTile : nil
    }
  }
}
