import Kernels

extension Tensor {
  /// The same values under another shape of the same count; nothing is copied.
  public func reshaped(_ shape: [Int]) -> Tensor {
    require(shape.reduce(1, *) == count, "reshaped: \(self.shape) into \(shape)")
    let xNode = node
    let recompute = node?.recompute.map { source in { source().withShape(shape) } }
    return withShape(shape).recording(from: [self], recompute: recompute) { dY in
      xNode?.accumulate(adding: dY)
    }
  }

  private func withShape(_ shape: [Int]) -> Tensor {
    Tensor(storage: storage, offset: offset, shape: shape)
  }

  /// Tokens `range` of every sample.
  ///
  /// - Precondition: The shape is `[B, L, C]`.
  /// - Returns: Shape `[B, range.count, C]`.
  public func tokens(_ range: Range<Int>) -> Tensor {
    require(dimensionCount == 3 && range.upperBound <= shape[1], "tokens: \(range) of \(shape)")
    let (batch, length, channels) = (shape[0], shape[1], shape[2])
    let y = Tensor(uninitialized: [batch, range.count, channels])
    for sample in 0..<batch {
      copy(
        pointer + (sample * length + range.lowerBound) * channels, to: y.pointer + sample * range.count * channels,
        count: range.count * channels)
    }
    let xNode = node
    return y.recording(from: [self]) { dY in
      xNode?.accumulate { dX, accumulating in
        if !accumulating { fill(dX.pointer, count: dX.count, with: 0) }
        for sample in 0..<batch {
          add(
            dY.pointer + sample * range.count * channels,
            to: dX.pointer + (sample * length + range.lowerBound) * channels, count: range.count * channels)
        }
      }
    }
  }

  /// Channels `range` of every position.
  ///
  /// - Returns: Shape `[..., range.count]`.
  public func channels(_ range: Range<Int>) -> Tensor {
    require(range.upperBound <= channels, "channels: \(range) of \(shape)")
    let (rows, width, part) = (rows, channels, range.count)
    let y = Tensor(uninitialized: shape.dropLast() + [part])
    parallelChunks(rows, of: 256) { chunk in
      for row in chunk {
        (y.pointer + row * part).update(from: pointer + row * width + range.lowerBound, count: part)
      }
    }
    let xNode = node
    return y.recording(from: [self]) { dY in
      xNode?.accumulate { dX, accumulating in
        if !accumulating { fill(dX.pointer, count: dX.count, with: 0) }
        parallelChunks(rows, of: 256) { chunk in
          for row in chunk {
            scaleOnThisThread(
              dY.pointer + row * part, by: 1, into: dX.pointer + row * width + range.lowerBound, count: part,
              accumulating: true)
          }
        }
      }
    }
  }

  /// One learned token put in front of every sample's tokens.
  ///
  /// - Parameter token: `C` values, of any shape.
  /// - Precondition: The shape is `[B, L, C]`.
  /// - Returns: Shape `[B, L + 1, C]`.
  public func prepending(_ token: Tensor) -> Tensor {
    require(dimensionCount == 3 && token.count == shape[2], "prepending: \(token.shape) to \(shape)")
    let (batch, length, channels) = (shape[0], shape[1], shape[2])
    let y = Tensor(uninitialized: [batch, length + 1, channels])
    for sample in 0..<batch {
      let row = y.pointer + sample * (length + 1) * channels
      row.update(from: token.pointer, count: channels)
      copy(pointer + sample * length * channels, to: row + channels, count: length * channels)
    }
    let (xNode, tokenNode) = (node, token.node)
    return y.recording(from: [self, token]) { dY in
      xNode?.accumulate { dX, accumulating in
        for sample in 0..<batch {
          scale(
            dY.pointer + (sample * (length + 1) + 1) * channels, by: 1, into: dX.pointer + sample * length * channels,
            count: length * channels, accumulating: accumulating)
        }
      }
      tokenNode?.accumulate { dToken, accumulating in
        for sample in 0..<batch {
          scale(
            dY.pointer + sample * (length + 1) * channels, by: 1, into: dToken.pointer, count: channels,
            accumulating: accumulating || sample > 0)
        }
      }
    }
  }
}

/// Row `index[b, l]` of every sample: `y[b, l] = x[b, index[b, l]]`. The gradient is a scatter-add.
/// - Parameters:
///   - x: Shape `[B, K, C]`.
///   - index: `B·L` rows in `0..<K`.
/// - Returns: Shape `[B, L, C]`.
public func gatherTokens(_ x: Tensor, _ index: [Int32]) -> Tensor {
  require(x.dimensionCount == 3 && index.count % max(x.shape[0], 1) == 0, "gatherTokens: \(index.count) of \(x.shape)")
  let (batch, kept, channels) = (x.shape[0], x.shape[1], x.shape[2])
  let length = index.count / max(batch, 1)
  let y = Tensor(uninitialized: [batch, length, channels])
  parallelFor(batch) { sample in
    for position in 0..<length {
      let row = Int(index[sample * length + position])
      require(row >= 0 && row < kept, "gatherTokens: row \(row) of \(kept)")
      (y.pointer + (sample * length + position) * channels)
        .update(from: x.pointer + (sample * kept + row) * channels, count: channels)
    }
  }
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      if !accumulating { fill(dX.pointer, count: dX.count, with: 0) }
      parallelFor(batch) { sample in
        for position in 0..<length {
          let row = Int(index[sample * length + position])
          let (source, target) = (
            dY.pointer + (sample * length + position) * channels, dX.pointer + (sample * kept + row) * channels
          )
          for channel in 0..<channels { target[channel] += source[channel] }
        }
      }
    }
  }
}

/// `count` copies of a tensor whose first axis is 1, along that axis. The gradient is their sum.
/// - Parameters:
///   - x: Shape `[1, ...]`.
///   - count: Copies, at least 1.
/// - Returns: Shape `[count, ...]`.
public func repeated(_ x: Tensor, count: Int) -> Tensor {
  require(x.shape.first == 1, "repeated: the first axis of \(x.shape) is not 1")
  let y = Tensor(uninitialized: [count] + x.shape.dropFirst())
  for index in 0..<count { copy(x.pointer, to: y.pointer + index * x.count, count: x.count) }
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      for index in 0..<count {
        scale(
          dY.pointer + index * dX.count, by: 1, into: dX.pointer, count: dX.count,
          accumulating: accumulating || index > 0)
      }
    }
  }
}
