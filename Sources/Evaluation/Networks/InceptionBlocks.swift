import Kernels
import Layers
import Tensors

/// A convolution without bias, a normalisation by known statistics (ε 0.001), and a rectifier.
final class InceptionUnit: Module {
  private let name: String
  private let convolution: Convolution
  private let scale: Parameter
  private let offset: Parameter
  private let runningMean: Parameter
  private let runningVariance: Parameter

  /// The normalisation as an affine map; computed at the first use, when the weights are there.
  private lazy var affine: (scale: Tensor, offset: Tensor) = {
    let channels = scale.count
    let factors = (0..<channels).map { channel in
      Float(
        Double(scale.value.pointer[channel]) / (Double(runningVariance.value.pointer[channel]) + 1e-3).squareRoot())
    }
    let offsets = (0..<channels).map { channel in
      offset.value.pointer[channel] - runningMean.value.pointer[channel] * factors[channel]
    }
    return (Tensor(factors, shape: [channels]), Tensor(offsets, shape: [channels]))
  }()

  init(
    _ name: String, _ inputs: Int, _ outputs: Int, _ kernelHeight: Int = 3, _ kernelWidth: Int = 3, stride: Int = 1,
    padding: Padding = 0, using random: inout SplitMix64
  ) {
    self.name = name
    convolution = Convolution(
      inputChannels: inputs, outputChannels: outputs, kernelHeight: kernelHeight, kernelWidth: kernelWidth,
      stride: stride, padding: padding, hasBias: false, using: &random)
    scale = Parameter(Tensor(repeating: 1, shape: [outputs]))
    offset = Parameter(Tensor(repeating: 0, shape: [outputs]))
    runningMean = Parameter(Tensor(repeating: 0, shape: [outputs]))
    runningVariance = Parameter(Tensor(repeating: 1, shape: [outputs]))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    activation(
      channelAffine(convolution(x), scale: affine.scale, offset: affine.offset), .leakyReLU(slope: 0))
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    convolution.forEachParameter(under: "\(name).conv", body)
    body("\(name).bn.weight", scale)
    body("\(name).bn.bias", offset)
    body("\(name).bn.running_mean", runningMean)
    body("\(name).bn.running_var", runningVariance)
  }
}

/// Branches side by side, whose channels are joined.
struct InceptionBlock: Module {
  /// One branch: a pooling perhaps, units one after the other, and perhaps two units beside each other at the end.
  private struct Branch {
    var pooling: (kind: Pooling, stride: Int)?
    var units: [InceptionUnit] = []
    var fork: [InceptionUnit] = []
  }

  private let branches: [Branch]

  /// - Parameter x: Shape `[B, H, W, in]`.
  /// - Returns: Shape `[B, H', W', out]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    joinedChannels(
      branches.flatMap { branch -> [Tensor] in
        var y = x
        if let (kind, stride) = branch.pooling {
          y = pool(y, kind, kernelSize: 3, stride: stride, padding: stride == 1 ? 1 : 0)
        }
        for unit in branch.units { y = unit(y) }
        return branch.fork.isEmpty ? [y] : branch.fork.map { $0(y) }
      })
  }

  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void) {
    for branch in branches {
      for unit in branch.units + branch.fork { unit.forEachParameter(body) }
    }
  }

  private static func meanPool(_ unit: InceptionUnit) -> Branch {
    Branch(pooling: (.average(countsPadding: false), 1), units: [unit])
  }

  /// 35×35: windows of 5×5 and of twice 3×3.
  static func narrow(
    _ name: String, _ inputs: Int, pooled: Int, using random: inout SplitMix64
  ) -> InceptionBlock {
    InceptionBlock(branches: [
      Branch(units: [InceptionUnit("\(name).branch1x1", inputs, 64, 1, 1, using: &random)]),
      Branch(units: [
        InceptionUnit("\(name).branch5x5_1", inputs, 48, 1, 1, using: &random),
        InceptionUnit("\(name).branch5x5_2", 48, 64, 5, 5, padding: 2, using: &random),
      ]),
      Branch(units: [
        InceptionUnit("\(name).branch3x3dbl_1", inputs, 64, 1, 1, using: &random),
        InceptionUnit("\(name).branch3x3dbl_2", 64, 96, padding: 1, using: &random),
        InceptionUnit("\(name).branch3x3dbl_3", 96, 96, padding: 1, using: &random),
      ]),
      meanPool(InceptionUnit("\(name).branch_pool", inputs, pooled, 1, 1, using: &random)),
    ])
  }

  /// 35×35 to 17×17.
  static func firstReduction(_ name: String, _ inputs: Int, using random: inout SplitMix64) -> InceptionBlock {
    InceptionBlock(branches: [
      Branch(units: [InceptionUnit("\(name).branch3x3", inputs, 384, stride: 2, using: &random)]),
      Branch(units: [
        InceptionUnit("\(name).branch3x3dbl_1", inputs, 64, 1, 1, using: &random),
        InceptionUnit("\(name).branch3x3dbl_2", 64, 96, padding: 1, using: &random),
        InceptionUnit("\(name).branch3x3dbl_3", 96, 96, stride: 2, using: &random),
      ]),
      Branch(pooling: (.maximum, 2)),
    ])
  }

  /// 17×17: windows of 7×7 factorised into 1×7 and 7×1, `width` channels wide in between.
  static func factorised(_ name: String, _ width: Int, using random: inout SplitMix64) -> InceptionBlock {
    func row(_ part: String, _ outputs: Int, _ random: inout SplitMix64) -> InceptionUnit {
      InceptionUnit(
        "\(name).\(part)", width, outputs, 1, 7, padding: Padding(vertical: 0, horizontal: 3), using: &random)
    }
    func column(_ part: String, _ outputs: Int, _ random: inout SplitMix64) -> InceptionUnit {
      InceptionUnit(
        "\(name).\(part)", width, outputs, 7, 1, padding: Padding(vertical: 3, horizontal: 0), using: &random)
    }
    return InceptionBlock(branches: [
      Branch(units: [InceptionUnit("\(name).branch1x1", 768, 192, 1, 1, using: &random)]),
      Branch(units: [
        InceptionUnit("\(name).branch7x7_1", 768, width, 1, 1, using: &random), row("branch7x7_2", width, &random),
        column("branch7x7_3", 192, &random),
      ]),
      Branch(units: [
        InceptionUnit("\(name).branch7x7dbl_1", 768, width, 1, 1, using: &random),
        column("branch7x7dbl_2", width, &random), row("branch7x7dbl_3", width, &random),
        column("branch7x7dbl_4", width, &random), row("branch7x7dbl_5", 192, &random),
      ]),
      meanPool(InceptionUnit("\(name).branch_pool", 768, 192, 1, 1, using: &random)),
    ])
  }

  /// 17×17 to 8×8.
  static func secondReduction(_ name: String, _ inputs: Int, using random: inout SplitMix64) -> InceptionBlock {
    InceptionBlock(branches: [
      Branch(units: [
        InceptionUnit("\(name).branch3x3_1", inputs, 192, 1, 1, using: &random),
        InceptionUnit("\(name).branch3x3_2", 192, 320, stride: 2, using: &random),
      ]),
      Branch(units: [
        InceptionUnit("\(name).branch7x7x3_1", inputs, 192, 1, 1, using: &random),
        InceptionUnit(
          "\(name).branch7x7x3_2", 192, 192, 1, 7, padding: Padding(vertical: 0, horizontal: 3), using: &random),
        InceptionUnit(
          "\(name).branch7x7x3_3", 192, 192, 7, 1, padding: Padding(vertical: 3, horizontal: 0), using: &random),
        InceptionUnit("\(name).branch7x7x3_4", 192, 192, stride: 2, using: &random),
      ]),
      Branch(pooling: (.maximum, 2)),
    ])
  }

  /// 8×8: windows of 3×3 that fork into 1×3 and 3×1.
  static func wide(
    _ name: String, _ inputs: Int, pooling: Pooling, using random: inout SplitMix64
  ) -> InceptionBlock {
    func fork(_ part: String, _ random: inout SplitMix64) -> [InceptionUnit] {
      [
        InceptionUnit(
          "\(name).\(part)a", 384, 384, 1, 3, padding: Padding(vertical: 0, horizontal: 1), using: &random),
        InceptionUnit(
          "\(name).\(part)b", 384, 384, 3, 1, padding: Padding(vertical: 1, horizontal: 0), using: &random),
      ]
    }
    return InceptionBlock(branches: [
      Branch(units: [InceptionUnit("\(name).branch1x1", inputs, 320, 1, 1, using: &random)]),
      Branch(
        units: [InceptionUnit("\(name).branch3x3_1", inputs, 384, 1, 1, using: &random)],
        fork: fork("branch3x3_2", &random)),
      Branch(
        units: [
          InceptionUnit("\(name).branch3x3dbl_1", inputs, 448, 1, 1, using: &random),
          InceptionUnit("\(name).branch3x3dbl_2", 448, 384, padding: 1, using: &random),
        ], fork: fork("branch3x3dbl_3", &random)),
      Branch(
        pooling: (pooling, 1), units: [InceptionUnit("\(name).branch_pool", inputs, 192, 1, 1, using: &random)]),
    ])
  }
}

/// The channels of several images of one size side by side.
/// - Parameter parts: Shapes `[B, H, W, C_i]`.
/// - Returns: Shape `[B, H, W, Σ C_i]`, outside the tape.
private func joinedChannels(_ parts: [Tensor]) -> Tensor {
  let shape = parts[0].shape
  require(parts.allSatisfy { $0.shape.dropLast() == shape.dropLast() }, "joinedChannels: \(parts.map(\.shape))")
  let channels = parts.reduce(0) { $0 + $1.channels }
  let y = Tensor(uninitialized: shape.dropLast() + [channels])
  parallelChunks(y.rows, of: 256) { rows in
    for row in rows {
      var target = y.pointer + row * channels
      for part in parts {
        target.update(from: part.pointer + row * part.channels, count: part.channels)
        target += part.channels
      }
    }
  }
  return y
}
