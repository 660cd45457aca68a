import CKernels

/// A weight matrix laid out for products with few rows: panels of 32 outputs, each `[in][32]`, are read once, in order.
///
/// Every value of a product is summed over the inputs in order, so a row's result has the same bits whatever other rows
/// are in the batch. A copy of the weight: twice its memory while it lives.
public struct PackedMatrix: Sendable {
  /// Inputs and outputs.
  public let inputSize: Int, outputSize: Int
  private let storage: Storage

  private static let panelWidth = Int(kernels_panel_width)

  /// Packs a weight.
  /// - Parameter weight: `outputSize × inputSize`, row-major.
  public init(_ weight: UnsafePointer<Float>, outputSize: Int, inputSize: Int) {
    self.inputSize = inputSize
    self.outputSize = outputSize
    let width = Self.panelWidth
    let panels = (outputSize + width - 1) / width
    let storage = Storage(count: panels * width * inputSize)
    parallelFor(panels) { panel in
      let target = storage.pointer + panel * width * inputSize
      for column in 0..<width {
        let output = panel * width + column
        for input in 0..<inputSize {
          target[input * width + column] = output < outputSize ? weight[output * inputSize + input] : 0
        }
      }
    }
    self.storage = storage
  }

  /// `y = x·Wᵀ` for `rows` rows.
  public func multiply(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, rows: Int) {
    let width = Self.panelWidth
    let panels = (outputSize + width - 1) / width
    parallelChunks(panels, of: max(1, (1 << 15) / max(1, rows * inputSize * width))) { range in
      for panel in range {
        kernels_panel_product(
          rows, inputSize, min(width, outputSize - panel * width), x, storage.pointer + panel * width * inputSize,
          y + panel * width, outputSize)
      }
    }
  }
}
