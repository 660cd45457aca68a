import Kernels

/// The token sequences of several tensors one after another, per sample.
/// - Parameter parts: Shapes `[B, L_i, C]`.
/// - Returns: Shape `[B, Σ L_i, C]`.
public func joined(_ parts: [Tensor]) -> Tensor {
  guard let first = parts.first else { fatalError("joined: nothing to join") }
  let (batch, channels) = (first.shape[0], first.channels)
  require(
    parts.allSatisfy { $0.dimensionCount == 3 && $0.shape[0] == batch && $0.channels == channels },
    "joined: \(parts.map(\.shape))")
  let length = parts.reduce(0) { $0 + $1.shape[1] }
  let y = Tensor(uninitialized: [batch, length, channels])
  /// Calls `body` with every part's place in its own tensor and in the whole.
  func forEachPiece(_ body: (_ part: Int, _ own: Int, _ whole: Int, _ count: Int) -> Void) {
    parallelChunks(batch, of: max(1, (1 << 15) / max(1, length * channels))) { samples in
      for sample in samples {
        var whole = sample * length * channels
        for (index, part) in parts.enumerated() {
          let count = part.shape[1] * channels
          body(index, sample * count, whole, count)
          whole += count
        }
      }
    }
  }
  forEachPiece { part, own, whole, count in
    (y.pointer + whole).update(from: parts[part].pointer + own, count: count)
  }
  let nodes = parts.map(\.node)
  let shapes = parts.map(\.shape)
  return y.recording(from: parts) { dY in
    var start = 0
    for (node, shape) in zip(nodes, shapes) {
      let range = start..<start + shape[1]
      node?.accumulate(adding: dY.tokens(range))
      start = range.upperBound
    }
  }
}
