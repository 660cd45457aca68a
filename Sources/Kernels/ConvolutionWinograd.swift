import CKernels

/// A 3×3, stride-1, padding-1 convolution by Winograd's F(tile×tile, 3×3): forward, and, with `transposed` weights and
/// input and output exchanged, the gradient with respect to the input. See winograd.h for the mathematics.
///
/// Work is cut so that what a thread multiplies stays in its L2: a block of tiles' transformed pixels V, and for one
/// group of 64 outputs at a time their products M.
struct WinogradConvolution {
  /// Output pixels along a tile's side: 4 or 2.
  let tile: Int
  let batch: Int, height: Int, width: Int
  /// Channels of what is read and of what is written.
  let inputs: Int, outputs: Int
  /// Whether weights are `[3, 3, outputs, inputs]`, to be mirrored.
  let transposed: Bool

  /// (tile + 2)²
  private var planeCount: Int { (tile + 2) * (tile + 2) }
  private var tileCount: Int { batch * ((height + tile - 1) / tile) * ((width + tile - 1) / tile) }
  /// Input channels filled up to whole vectors.
  private var depth: Int { paddedToLanes(inputs) }
  private var groupCount: Int { (outputs + groupSize - 1) / groupSize }
  private var inputImage: kernels_image { kernels_image(height: height, width: width, channels: inputs) }
  private var outputImage: kernels_image { kernels_image(height: height, width: width, channels: outputs) }

  /// `y (+)= x ∗ weight + bias`.
  func run(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, accumulating: Bool
  ) {
    let pass = Pass(
      x: x, weight: weight, bias: bias, y: y, zeros: Zeros(count: inputs),
      mode: accumulating ? 1 : batch * height * width * outputs > cacheSize ? 2 : 0)
    // While all transformed weights fit into a part of L3, they are made once and every block of tiles uses them.
    // Otherwise every group's are made where they are used, and blocks of tiles take their turns inside a group.
    if planeCount * depth * groupCount * groupSize <= sharedWeightLimit {
      runByTiles(pass)
    } else {
      runByGroups(pass)
    }
  }

  /// What one call works on.
  private struct Pass {
    let x: UnsafePointer<Float>
    let weight: UnsafePointer<Float>
    let bias: UnsafePointer<Float>?
    let y: UnsafeMutablePointer<Float>
    let zeros: Zeros
    /// How `kernels_winograd_output` writes.
    let mode: Int32
  }

  private func runByTiles(_ pass: Pass) {
    let layout = weightPlanes(depth: depth)
    let size = planeCount * layout.plane
    let weights = Storage(count: groupCount * size)
    let rowsPerJob = 32
    let jobsPerGroup = (depth + rowsPerJob - 1) / rowsPerJob
    parallelFor(groupCount * jobsPerGroup) { job in
      let rows = job % jobsPerGroup * rowsPerJob
      transformWeights(
        pass, group: job / jobsPerGroup, rows: rows..<min(depth, rows + rowsPerJob),
        into: weights.pointer + job / jobsPerGroup * size + rows * groupSize, layout)
    }
    parallelChunks(tileCount, of: tilesPerBlock) { tiles in
      let values = transformedInput(pass, tiles)
      let products = Storage(count: planeCount * productPlane(tiles.count))
      for group in 0..<groupCount {
        multiply(
          MatrixView(values.pointer, rows: tiles.count, columns: depth), plane: valuePlane(tiles.count),
          by: weights.pointer + group * size, plane: layout.plane, columns: columns(of: group),
          into: products.pointer, accumulating: false)
        writeOutput(pass, tiles, group: group, products.pointer)
      }
    }
  }

  private func runByGroups(_ pass: Pass) {
    // As many tiles at once as memory permits, because each round of tiles transforms all weights anew.
    let limit = max(tilesPerProduct, (1 << 24) / (planeCount * depth) / tilesPerProduct * tilesPerProduct)
    for start in stride(from: 0, to: tileCount, by: limit) {
      let count = min(limit, tileCount - start)
      let plane = valuePlane(count)
      let values = Storage(count: planeCount * plane)
      parallelChunks(count, of: 8) { part in
        transformInput(
          pass, start + part.lowerBound..<start + part.upperBound,
          into: values.pointer + part.lowerBound * depth, plane: plane)
      }
      // Few tiles: weights are used at once, a part of the depth at a time, while they are in L2.
      let depthPerPart = count <= tilesPerProduct ? groupSize : depth
      parallelFor(groupCount) { group in
        let weights = Storage(count: planeCount * weightPlanes(depth: depthPerPart).plane)
        let products = Storage(count: planeCount * productPlane(min(count, tilesPerProduct)))
        for first in stride(from: 0, to: depth, by: depthPerPart) {
          let rows = first..<min(depth, first + depthPerPart)
          let layout = weightPlanes(depth: rows.count)
          transformWeights(pass, group: group, rows: rows, into: weights.pointer, layout)
          for part in stride(from: 0, to: count, by: tilesPerProduct) {
            let tiles = start + part..<start + min(count, part + tilesPerProduct)
            multiply(
              MatrixView(
                values.pointer + part * depth + first, rows: tiles.count, columns: rows.count, rowStride: depth),
              plane: plane, by: weights.pointer, plane: layout.plane, columns: columns(of: group),
              into: products.pointer, accumulating: first > 0)
            if rows.upperBound == depth { writeOutput(pass, tiles, group: group, products.pointer) }
          }
        }
      }
    }
  }

  // MARK: Blocks

  /// Tiles whose V and M fill about three quarters of a megabyte.
  private var tilesPerBlock: Int {
    min(64, max(24, 200_000 / (planeCount * (depth + groupSize)) / 4 * 4))
  }
  private var tilesPerProduct: Int { 64 }

  private func valuePlane(_ tiles: Int) -> Int { tiles * depth + planePadding }
  private func productPlane(_ tiles: Int) -> Int { tiles * groupSize + planePadding }
  private func weightPlanes(depth: Int) -> kernels_planes {
    kernels_planes(plane: depth * groupSize + planePadding, group: 0, row: groupSize)
  }

  // MARK: Steps

  private func transformedInput(_ pass: Pass, _ tiles: Range<Int>) -> Storage {
    let values = Storage(count: planeCount * valuePlane(tiles.count))
    transformInput(pass, tiles, into: values.pointer, plane: valuePlane(tiles.count))
    return values
  }

  private func transformInput(
    _ pass: Pass, _ tiles: Range<Int>, into values: UnsafeMutablePointer<Float>, plane: Int
  ) {
    kernels_winograd_input(
      Int32(tile), inputImage, tiles.lowerBound, tiles.count, pass.x, pass.zeros.pointer, values,
      kernels_planes(plane: plane, group: groupSize, row: depth))
  }

  private func transformWeights(
    _ pass: Pass, group: Int, rows: Range<Int>, into weights: UnsafeMutablePointer<Float>, _ layout: kernels_planes
  ) {
    kernels_winograd_weights(
      Int32(tile), transposed ? outputs : inputs, transposed ? inputs : outputs, rows.lowerBound, rows.count,
      group * groupSize, columns(of: group), pass.weight, transposed ? 1 : 0, weights, layout)
  }

  /// A group's columns, filled up to whole vectors.
  private func columns(of group: Int) -> Int { min(groupSize, paddedToLanes(outputs - group * groupSize)) }

  /// M (+)= V·U for every plane and `columns` of one group.
  private func multiply(
    _ values: MatrixView, plane: Int, by weights: UnsafeMutablePointer<Float>, plane weightPlane: Int, columns: Int,
    into products: UnsafeMutablePointer<Float>, accumulating: Bool
  ) {
    for index in 0..<planeCount {
      kernels_plane_product(
        values.rows, values.columns, columns, values.pointer + index * plane, values.rowStride, 1,
        weights + index * weightPlane, groupSize, products + index * productPlane(values.rows), groupSize,
        accumulating ? 1 : 0)
    }
  }

  /// The products of one group of outputs, back as pixels.
  private func writeOutput(_ pass: Pass, _ tiles: Range<Int>, group: Int, _ products: UnsafePointer<Float>) {
    let first = group * groupSize
    kernels_winograd_output(
      Int32(tile), outputImage, tiles.lowerBound, tiles.count, first, min(groupSize, outputs - first), products,
      kernels_planes(plane: productPlane(tiles.count), group: 0, row: groupSize), pass.bias, pass.y, pass.mode)
  }
}

/// Zeros to read where an image ends.
final class Zeros {
  private let storage: Storage
  var pointer: UnsafePointer<Float> { UnsafePointer(storage.pointer) }

  init(count: Int) {
    storage = Storage(count: count)
    kernels_fill(count, 0, storage.pointer)
  }
}

let groupSize = kernels_winograd_group
/// Floats between planes, so that equal places of different planes do not fall into the same cache set.
let planePadding = 16
/// Floats that the caches hold: larger outputs are written past them.
private let cacheSize = 1 << 21
/// Floats of transformed weights that threads share.
private let sharedWeightLimit = 1 << 22

func paddedToLanes(_ channels: Int) -> Int {
  let lanes = kernels_winograd_lanes
  return (channels + lanes - 1) / lanes * lanes
}
