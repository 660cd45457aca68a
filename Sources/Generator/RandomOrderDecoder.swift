import Kernels
import Tensors

/// Decodes tokens in random order, several in parallel.
///
/// The instructions of a step each see all finished (instruction, token) pairs and themselves. In the next step's pass the
/// pairs are taken in one after another, each seeing those before it, so that the cache always holds exactly what the
/// training sequence has.
final class RandomOrderDecoder {
  private let weights: DecodingWeights
  private let imageCount: Int
  private let laneCount: Int
  private let cache: CompressedKVCache
  private let labels: [Int32]
  /// Slots of finished entries: the class, all pairs, and the first instruction of the latest step.
  private var slotCount = 0
  /// Cells of the latest step, image after image.
  private var openCells: [Int32] = []

  /// - Parameters:
  ///   - classes: One per image.
  ///   - hasUnconditionalStreams: For guidance.
  init(_ weights: DecodingWeights, classes: [Int32], hasUnconditionalStreams: Bool = false) {
    let config = weights.config
    require(config.order == .random && !classes.isEmpty, "RandomOrderDecoder: order \(config.order)")
    self.weights = weights
    imageCount = classes.count
    laneCount = hasUnconditionalStreams ? 2 : 1
    labels =
      classes
      + (hasUnconditionalStreams ? Array(repeating: Int32(config.droppedClass), count: classes.count) : [])
    cache = CompressedKVCache(streamCount: labels.count, layerCount: config.blocks, config: config)
  }

  /// Bytes of the key-value cache.
  var cacheByteCount: Int { cache.byteCount }

  /// Takes in the tokens of the latest step and asks for the next ones.
  /// - Parameters:
  ///   - codes: The codes of all cells of the latest step, image after image; none at first.
  ///   - cells: The next cells, as many for every image, image after image.
  /// - Returns: The outputs that predict them, shape `[lanes·B·n, D]`: first all with class, then all without.
  func advance(_ codes: CodePairs, cells: [Int32]) -> Tensor {
    let (open, asked) = (openCells.count / imageCount, cells.count / imageCount)
    require(
      codes.count == openCells.count && cells.count == asked * imageCount && asked > 0,
      "advance: \(codes.count) codes for \(openCells.count) open cells, then \(cells.count) cells")
    let model = weights.model
    let width = weights.config.width
    // Per stream: what completes the sequence so far, then the next instructions.
    let finished = open == 0 ? 1 : 2 * open - 1
    let x = withoutGradient { () -> Tensor in
      let instructions = model.instructions(openCells + cells)
      let past: Tensor
      if open == 0 {
        past = model.embedded(classes: labels)
      } else {
        let pairs = joined([
          instructions.reshaped([1, openCells.count + cells.count, width]).tokens(0..<openCells.count)
            .reshaped([openCells.count, 1, width]),
          model.embedded(codes, batch: openCells.count),
        ]).reshaped([imageCount, 2 * open, width])
        // The first instruction is in the cache already.
        past = inAllLanes(pairs.tokens(1..<2 * open))
      }
      let next = instructions.reshaped([1, openCells.count + cells.count, width])
        .tokens(openCells.count..<openCells.count + cells.count).reshaped([imageCount, asked, width])
      return joined([past, inAllLanes(next)])
    }
    var queries: [CacheQuery] = []
    var rows: [Int32] = []
    for stream in labels.indices {
      let image = stream % imageCount
      for entry in 0..<finished {
        let slot = slotCount + entry
        queries.append(CacheQuery(stream: stream, prefix: slot + 1, own: slot))
        rows.append(open == 0 ? 0 : 1 + openCells[image * open + (entry + 1) / 2])
      }
      for entry in 0..<asked {
        queries.append(
          CacheQuery(stream: stream, prefix: slotCount + finished, own: slotCount + finished + entry))
        rows.append(1 + cells[image * asked + entry])
      }
    }
    let y = weights.sequence(x.reshaped([queries.count, width]), rows: rows, queries: queries, cache: cache)
    slotCount += finished + 1
    openCells = cells
    return withoutGradient {
      y.reshaped([labels.count, finished + asked, width]).tokens(finished..<finished + asked)
        .reshaped([labels.count * asked, width])
    }
  }

  /// The two factors' logits of as many rows.
  func factors(rowCount: Int) -> FactorDecoder { FactorDecoder(weights, rowCount: rowCount) }

  /// The same tokens for the streams with and without class: `[B, n, D]` to `[lanes·B, n, D]`.
  private func inAllLanes(_ x: Tensor) -> Tensor {
    guard laneCount == 2 else { return x }
    let flat = x.reshaped([1, x.shape[0] * x.shape[1], x.channels])
    return joined([flat, flat]).reshaped([2 * x.shape[0], x.shape[1], x.channels])
  }
}
