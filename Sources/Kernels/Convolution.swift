// The three passes of a convolution. Images are `[batch, height, width, channels]`, weights
// `[kernelHeight, kernelWidth, inputChannels, outputChannels]`, all contiguous.

/// `y[n, i, j, o] = bias[o] + Σ x[n, i·stride + a − padding, j·stride + b − padding, c]·weight[a, b, c, o]`.
public func convolution(
  _ x: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?,
  into y: UnsafeMutablePointer<Float>, _ shape: ConvolutionShape, algorithm: ConvolutionAlgorithm = .automatic
) {
  convolutionByColumns(x, weight: weight, bias: bias, into: y, shape)
}

/// The gradient with respect to the input: `dX (+)= Σ dY·weight` over every window that saw the pixel.
public func convolutionInputGradient(
  _ dY: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, into dX: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool, algorithm: ConvolutionAlgorithm = .automatic
) {
  inputGradientByColumns(dY, weight: weight, into: dX, shape, accumulating: accumulating)
}

/// The gradient with respect to the weights: `dW[a, b, c, o] (+)= Σ x·dY` over all windows.
public func convolutionWeightGradient(
  _ x: UnsafeMutablePointer<Float>, _ dY: UnsafeMutablePointer<Float>, into dW: UnsafeMutablePointer<Float>,
  _ shape: ConvolutionShape, accumulating: Bool, algorithm: ConvolutionAlgorithm = .automatic
) {
  weightGradientByColumns(x, dY, into: dW, shape, accumulating: accumulating)
}
