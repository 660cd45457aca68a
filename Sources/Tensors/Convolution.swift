public import Kernels

/// How exactly 3×3 convolutions are computed, as the kernels know it.
public typealias ConvolutionPrecision = Kernels.ConvolutionPrecision

/// Zero pixels around an image, the same number on opposite sides.
public struct Padding: Sendable, Equatable, ExpressibleByIntegerLiteral {
  /// Rows above and below.
  public let vertical: Int
  /// Columns left and right.
  public let horizontal: Int

  /// Rows and columns of padding.
  public init(vertical: Int, horizontal: Int) {
    self.vertical = vertical
    self.horizontal = horizontal
  }

  /// The same padding on all four sides.
  public init(_ all: Int) { self.init(vertical: all, horizontal: all) }

  /// The same padding on all four sides.
  public init(integerLiteral value: Int) { self.init(value) }
}

/// How a convolution is computed.
public typealias ConvolutionAlgorithm = Kernels.ConvolutionAlgorithm

/// Convolves images with any window, stride and padding (a cross-correlation, as everywhere in this field).
/// - Parameters:
///   - x: Shape `[B, H, W, in]`.
///   - weight: Shape `[kernelHeight, kernelWidth, in, out]`.
///   - bias: Shape `[out]`.
///   - stride: Pixels from window to window.
///   - padding: Zeros around each image.
///   - algorithm: How forward and gradients are computed.
/// - Returns: Shape `[B, H', W', out]` with `H' = ⌊(H + 2·padding − kernelHeight) / stride⌋ + 1`, `W'` likewise.
public func convolution(
  _ x: Tensor, weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Padding = 0,
  algorithm: ConvolutionAlgorithm = .automatic
) -> Tensor {
  require(
    x.dimensionCount == 4 && weight.dimensionCount == 4 && weight.shape[2] == x.channels && stride > 0
      && (bias.map { $0.shape == [weight.channels] } ?? true)
      && x.shape[1] + 2 * padding.vertical >= weight.shape[0]
      && x.shape[2] + 2 * padding.horizontal >= weight.shape[1],
    "convolution: x \(x.shape), weight \(weight.shape), bias \(bias?.shape ?? []), stride \(stride), \(padding)")
  let shape = ConvolutionShape(
    batch: x.shape[0], height: x.shape[1], width: x.shape[2], inputChannels: x.channels,
    outputChannels: weight.channels, kernelHeight: weight.shape[0], kernelWidth: weight.shape[1], stride: stride,
    verticalPadding: padding.vertical, horizontalPadding: padding.horizontal)
  let y = Tensor(uninitialized: [shape.batch, shape.outputHeight, shape.outputWidth, shape.outputChannels])
  OperationCount.add(shape.operationCount)
  convolution(x.pointer, weight: weight.pointer, bias: bias?.pointer, into: y.pointer, shape, algorithm: algorithm)
  let (xNode, weightNode, biasNode) = (x.node, weight.node, bias?.node)
  // A frozen network needs its inputs' gradients only: do not keep the images for weight gradients nobody wants.
  let neededX = weightNode.map { _ in NeededAgain(x) }
  return y.recording(from: [x, weight, bias]) { dY in
    xNode?.accumulate { dX, accumulating in
      OperationCount.add(shape.operationCount)
      convolutionInputGradient(
        dY.pointer, weight: weight.pointer, into: dX.pointer, shape, accumulating: accumulating, algorithm: algorithm)
    }
    weightNode?.accumulate { dW, accumulating in
      guard let x = neededX?.tensor else { return }
      OperationCount.add(shape.operationCount)
      convolutionWeightGradient(
        x.pointer, dY.pointer, into: dW.pointer, shape, accumulating: accumulating, algorithm: algorithm)
    }
    biasNode?.accumulate { dB, accumulating in
      columnSums(dY.pointer, into: dB.pointer, rows: dY.rows, columns: dY.channels, accumulating: accumulating)
    }
  }
}

/// Convolves each channel with a 3×3 window of its own, stride 1, padding 1.
/// - Parameters:
///   - x: Shape `[B, H, W, C]`.
///   - weight: Shape `[3, 3, C]`.
///   - bias: Shape `[C]`.
/// - Returns: The shape of `x`.
public func depthwiseConvolution(_ x: Tensor, weight: Tensor, bias: Tensor? = nil) -> Tensor {
  require(
    x.dimensionCount == 4 && weight.shape == [3, 3, x.channels] && (bias.map { $0.shape == [x.channels] } ?? true),
    "depthwiseConvolution: x \(x.shape), weight \(weight.shape), bias \(bias?.shape ?? [])")
  let (batch, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
  let y = Tensor(uninitialized: x.shape)
  let operations = 2 * 9 * x.count
  OperationCount.add(operations)
  depthwiseConvolution(
    x.pointer, weight: weight.pointer, bias: bias?.pointer, into: y.pointer, batch: batch, height: height,
    width: width, channels: channels)
  let biasNode = bias?.node
  return y.recording(from: [x, weight, bias]) { dY in
    x.node?.accumulate { dX, accumulating in
      OperationCount.add(operations)
      depthwiseInputGradient(
        dY.pointer, weight: weight.pointer, into: dX.pointer, batch: batch, height: height, width: width,
        channels: channels, accumulating: accumulating)
    }
    weight.node?.accumulate { dW, accumulating in
      OperationCount.add(operations)
      depthwiseWeightGradient(
        x.pointer, dY.pointer, into: dW.pointer, batch: batch, height: height, width: width, channels: channels,
        accumulating: accumulating)
    }
    biasNode?.accumulate { dB, accumulating in
      columnSums(dY.pointer, into: dB.pointer, rows: dY.rows, columns: dY.channels, accumulating: accumulating)
    }
  }
}

/// Spreads each pixel's channels over 2×2 pixels: `y[n, 2i + a, 2j + b, c] = x[n, i, j, (2a + b)·C + c]`.
///
/// The order is block-major, as in the MergeVQ decoder's upsampling; it is not PyTorch's `pixel_shuffle`.
/// - Parameter x: Shape `[B, H, W, 4·C]`.
/// - Returns: Shape `[B, 2·H, 2·W, C]`.
public func depthToSpace(_ x: Tensor) -> Tensor {
  require(x.dimensionCount == 4 && x.channels % 4 == 0, "depthToSpace: \(x.shape)")
  let (batch, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3] / 4)
  let y = Tensor(uninitialized: [batch, 2 * height, 2 * width, channels])
  depthToSpace(x.pointer, into: y.pointer, batch: batch, height: height, width: width, channels: channels)
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      spaceToDepth(
        dY.pointer, into: dX.pointer, batch: batch, height: height, width: width, channels: channels,
        accumulating: accumulating)
    }
  }
}
