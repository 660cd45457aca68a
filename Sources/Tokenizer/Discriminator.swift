public import Layers
public import Tensors

/// PatchGAN (Isola et al., 2017): is each patch of an image real? (method 1.5)
public final class Discriminator: Module {
  private let first: Convolution
  private let middle: [(convolution: Convolution, norm: BatchNorm)]
  private let last: Convolution

  /// - Parameters:
  ///   - width: Channels of the first layer, 64 as published.
  ///   - layers: Layers that halve the resolution, 3 as published.
  ///   - random: Gives the first weights.
  public init(width: Int = 64, layers: Int = 3, using random: inout SplitMix64) {
    first = Convolution(
      inputChannels: 3, outputChannels: width, kernelSize: 4, stride: 2, padding: 1, using: &random)
    var channels = width
    var middle: [(convolution: Convolution, norm: BatchNorm)] = []
    for layer in 1...layers {
      let outputs = width * min(1 << layer, 8)
      let convolution = Convolution(
        inputChannels: channels, outputChannels: outputs, kernelSize: 4, stride: layer == layers ? 1 : 2, padding: 1,
        hasBias: false, using: &random)
      middle.append((convolution, BatchNorm(channels: outputs)))
      channels = outputs
    }
    self.middle = middle
    last = Convolution(inputChannels: channels, outputChannels: 1, kernelSize: 4, padding: 1, using: &random)
    // Published initialisation: N(0, 0.02) for convolutions, N(1, 0.02) for gains.
    forEachParameter { name, parameter in
      guard name.hasSuffix("weight") else { return }
      let initial = Tensor.normal(
        mean: parameter.shape.count == 1 ? 1 : 0, standardDeviation: 0.02, shape: parameter.shape, using: &random)
      parameter.value.pointer.update(from: initial.pointer, count: parameter.count)
    }
  }

  /// Logits per patch.
  /// - Parameters:
  ///   - images: Shape `[B, H, W, 3]`, values in `[-1, 1]`.
  ///   - synchronization: Of the batch statistics over ranks.
  /// - Returns: Shape `[B, h, w, 1]`.
  /// - Throws: What the synchronisation throws.
  public func callAsFunction(_ images: Tensor, synchronization: BatchSynchronization) throws -> Tensor {
    var x = activation(first(images), .leakyReLU(slope: 0.2))
    for (convolution, norm) in middle {
      x = activation(try norm.training(convolution(x), synchronization: synchronization), .leakyReLU(slope: 0.2))
    }
    return last(x)
  }

  /// The batch normalisations with their published names, for checkpoints of their running statistics.
  public var norms: [(name: String, norm: BatchNorm)] {
    middle.enumerated().map { ("main.\(3 * $0.offset + 3)", $0.element.norm) }
  }

  /// Visits every parameter under its published name; numbers count activations, too.
  public func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    first.forEachParameter(under: "main.0", body)
    for (index, layer) in middle.enumerated() {
      layer.convolution.forEachParameter(under: "main.\(3 * index + 2)", body)
      layer.norm.forEachParameter(under: "main.\(3 * index + 3)", body)
    }
    last.forEachParameter(under: "main.\(3 * middle.count + 2)", body)
  }
}
