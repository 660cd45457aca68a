import CKernels

/// The weight gradient of a 3×3, stride-1, padding-1 convolution by Winograd's F(tile×tile, 3×3):
/// `dW = Gᵀ·[Σ_tiles (Bᵀ·d·B)ᵀ ⊗ (A·dY·Aᵀ)]·G`, the sum being one matrix product per plane.
struct WinogradWeightGradient {
  /// Output pixels along a tile's side: 4 or 2.
  let tile: Int
  let batch: Int, height: Int, width: Int
  let inputs: Int, outputs: Int

  private var planeCount: Int { (tile + 2) * (tile + 2) }
  private var tileCount: Int { batch * ((height + tile - 1) / tile) * ((width + tile - 1) / tile) }
  private var inputGroups: Int { (inputs + groupSize - 1) / groupSize }
  private var outputGroups: Int { (outputs + groupSize - 1) / groupSize }
  private var pairCount: Int { inputGroups * outputGroups }
  private func inputsPadded(_ group: Int) -> Int { min(groupSize, paddedToLanes(inputs - group * groupSize)) }
  private func outputsPadded(_ group: Int) -> Int { min(groupSize, paddedToLanes(outputs - group * groupSize)) }

  /// `dW (+)= …`
  func run(
    _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, into dW: UnsafeMutablePointer<Float>, accumulating: Bool
  ) {
    let zeros = Zeros(count: max(inputs, outputs))
    // Few channels: one sum for all of them stays near the core, and threads take different tiles. Many channels:
    // threads take different pairs of channel groups, each summing over all tiles.
    if pairCount <= 4 {
      runByTiles(x, dY, zeros, into: dW, accumulating: accumulating)
    } else {
      runByPairs(x, dY, zeros, into: dW, accumulating: accumulating)
    }
  }

  private func runByTiles(
    _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, _ zeros: Zeros, into dW: UnsafeMutablePointer<Float>,
    accumulating: Bool
  ) {
    // The number of partial sums depends on the shape alone, so results do not depend on the thread count.
    let perBlock = min(64, max(32, (tileCount + 3) / 4))
    let blocks = (tileCount + perBlock - 1) / perBlock
    let parts = min(8, blocks)
    let blocksPerPart = (blocks + parts - 1) / parts
    let sums = Storage(count: parts * pairCount * sumSize)
    parallelFor(parts) { part in
      let sum = sums.pointer + part * pairCount * sumSize
      let first = part * blocksPerPart
      if first >= blocks { kernels_fill(pairCount * sumSize, 0, sum) }
      for block in first..<max(first, min(blocks, first + blocksPerPart)) {
        let planes = TransformedTiles(self, block * perBlock..<min(tileCount, (block + 1) * perBlock))
        planes.transform(x, dY, zeros, planes.tiles)
        for pair in 0..<pairCount {
          planes.multiply(pair, into: sum + pair * sumSize, accumulating: block > first)
        }
      }
    }
    parallelFor(pairCount) { pair in
      let sum = sums.pointer + pair * sumSize
      for part in 1..<max(parts, 1) { kernels_add(sumSize, sum + part * pairCount * sumSize, sum) }
      finish(pair, sum, into: dW, accumulating: accumulating)
    }
  }

  private func runByPairs(
    _ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, _ zeros: Zeros, into dW: UnsafeMutablePointer<Float>,
    accumulating: Bool
  ) {
    let perRound = max(64, (1 << 24) / (planeCount * (inputs + outputs)))
    for start in stride(from: 0, to: tileCount, by: perRound) {
      let planes = TransformedTiles(self, start..<min(tileCount, start + perRound))
      parallelChunks(planes.tiles.count, of: 8) {
        planes.transform(x, dY, zeros, start + $0.lowerBound..<start + $0.upperBound)
      }
      parallelFor(pairCount) { pair in
        let sum = Storage(count: sumSize)
        planes.multiply(pair, into: sum.pointer, accumulating: false)
        finish(pair, sum.pointer, into: dW, accumulating: accumulating || start > 0)
      }
    }
  }

  // MARK: Steps

  /// Floats of the sums of one pair of groups.
  private var sumSize: Int { planeCount * sumPlane }
  private var sumPlane: Int { groupSize * groupSize + planePadding }

  private func finish(
    _ pair: Int, _ sum: UnsafePointer<Float>, into dW: UnsafeMutablePointer<Float>, accumulating: Bool
  ) {
    let (input, output) = (pair / outputGroups * groupSize, pair % outputGroups * groupSize)
    kernels_winograd_weight_gradient(
      Int32(tile), inputs, outputs, input, min(groupSize, inputs - input), output, min(groupSize, outputs - output),
      sum, kernels_planes(plane: sumPlane, group: 0, row: groupSize), dW, accumulating ? 1 : 0)
  }

  /// Planes of some tiles' inputs and output gradients, in groups of 64 channels: `[plane][group][tile][64]`.
  private struct TransformedTiles {
    let gradient: WinogradWeightGradient
    let tiles: Range<Int>
    private let inputs: Storage, outputs: Storage

    init(_ gradient: WinogradWeightGradient, _ tiles: Range<Int>) {
      self.gradient = gradient
      self.tiles = tiles
      inputs = Storage(count: gradient.planeCount * Self.plane(tiles.count, gradient.inputGroups))
      outputs = Storage(count: gradient.planeCount * Self.plane(tiles.count, gradient.outputGroups))
    }

    private static func plane(_ tiles: Int, _ groups: Int) -> Int { tiles * groups * groupSize + planePadding }
    private var inputPlane: Int { Self.plane(tiles.count, gradient.inputGroups) }
    private var outputPlane: Int { Self.plane(tiles.count, gradient.outputGroups) }

    /// Fills in the planes of `some` of the tiles.
    func transform(_ x: UnsafePointer<Float>, _ dY: UnsafePointer<Float>, _ zeros: Zeros, _ some: Range<Int>) {
      let group = tiles.count * groupSize
      let offset = (some.lowerBound - tiles.lowerBound) * groupSize
      kernels_winograd_input(
        Int32(gradient.tile),
        kernels_image(height: gradient.height, width: gradient.width, channels: gradient.inputs), some.lowerBound,
        some.count, x, zeros.pointer, inputs.pointer + offset,
        kernels_planes(plane: inputPlane, group: group, row: groupSize))
      kernels_winograd_output_gradient(
        Int32(gradient.tile),
        kernels_image(height: gradient.height, width: gradient.width, channels: gradient.outputs), some.lowerBound,
        some.count, dY, zeros.pointer, outputs.pointer + offset,
        kernels_planes(plane: outputPlane, group: group, row: groupSize))
    }

    /// Sums over the tiles for one pair of groups: per plane `[64 inputs] × [64 outputs]`.
    func multiply(_ pair: Int, into sum: UnsafeMutablePointer<Float>, accumulating: Bool) {
      let (inputGroup, outputGroup) = (pair / gradient.outputGroups, pair % gradient.outputGroups)
      let (rows, columns) = (gradient.inputsPadded(inputGroup), gradient.outputsPadded(outputGroup))
      for plane in 0..<gradient.planeCount {
        let a = inputs.pointer + plane * inputPlane + inputGroup * tiles.count * groupSize
        let b = outputs.pointer + plane * outputPlane + outputGroup * tiles.count * groupSize
        kernels_plane_product(
          rows, tiles.count, columns, a, 1, groupSize, b, groupSize, sum + plane * gradient.sumPlane, groupSize,
          accumulating ? 1 : 0)
      }
    }
  }
}
