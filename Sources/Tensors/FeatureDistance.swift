import Kernels

/// `y[..., c] = scale[c]·x[..., c] + offset[c]` with constants.
/// - Returns: The shape of `x`.
public func channelAffine(_ x: Tensor, scale: Tensor, offset: Tensor) -> Tensor {
  require(scale.count == x.channels && offset.count == x.channels, "channelAffine: \(x.shape), \(scale.shape)")
  let y = Tensor(uninitialized: x.shape)
  scaleColumns(
    x.pointer, by: scale.pointer, factor: 1, into: y.pointer, rows: x.rows, columns: x.channels, accumulating: false)
  addRows(offset.pointer, to: y.pointer, rows: y.rows, columns: y.channels)
  let xNode = x.node
  return y.recording(from: [x]) { dY in
    xNode?.accumulate { dX, accumulating in
      scaleColumns(
        dY.pointer, by: scale.pointer, factor: 1, into: dX.pointer, rows: dX.rows, columns: dX.channels,
        accumulating: accumulating)
    }
  }
}

/// `y = x / (‖x‖₂ + ε)` over the channels of every position.
/// - Returns: The shape of `x`.
public func unitNormalized(_ x: Tensor, epsilon: Float = 1e-10) -> Tensor {
  let (rows, channels) = (x.rows, x.channels)
  let y = Tensor(uninitialized: x.shape)
  let norms = Storage(count: rows)
  parallelChunks(rows, of: 128) { range in
    for row in range {
      let source = x.pointer + row * channels
      let norm = Float(dotOnThisThread(source, source, count: channels).squareRoot())
      norms.pointer[row] = norm
      scaleOnThisThread(source, by: 1 / (norm + epsilon), into: y.pointer + row * channels, count: channels)
    }
  }
  return y.recording(from: [x]) { dY in
    x.node?.accumulate { dX, accumulating in
      // dX = (dY − x·(x·dY)/(n·(n + ε))) / (n + ε), and dY/ε where x vanishes.
      parallelChunks(rows, of: 128) { range in
        for row in range {
          let start = row * channels
          let norm = norms.pointer[row]
          let inverse = 1 / (norm + epsilon)
          let product = Float(dotOnThisThread(x.pointer + start, dY.pointer + start, count: channels))
          let along = norm > 0 ? product * inverse * inverse / norm : 0
          scaleOnThisThread(
            dY.pointer + start, by: inverse, into: dX.pointer + start, count: channels, accumulating: accumulating)
          scaleOnThisThread(
            x.pointer + start, by: -along, into: dX.pointer + start, count: channels, accumulating: true)
        }
      }
    }
  }
}

/// Per sample, the mean over positions of `Σ_c w[c]·(a − b)²`; no gradient flows into `b` or the weights.
/// - Parameters:
///   - a: Shape `[B, ..., C]`.
///   - b: The shape of `a`.
///   - weights: Shape `[C]`.
/// - Returns: Shape `[B]`.
public func weightedSquaredDistance(_ a: Tensor, _ b: Tensor, weights: Tensor) -> Tensor {
  require(a.shape == b.shape && weights.count == a.channels, "weightedSquaredDistance: \(a.shape), \(b.shape)")
  let (batch, channels) = (a.shape[0], a.channels)
  let positions = a.rows / max(batch, 1)
  let y = Tensor(uninitialized: [batch])
  for sample in 0..<batch {
    let start = sample * positions * channels
    let sum = parallelSum(positions, of: 256) { range in
      var total = 0.0
      for position in range {
        var row: Float = 0
        let index = start + position * channels
        for channel in 0..<channels {
          let difference = a.pointer[index + channel] - b.pointer[index + channel]
          row += weights.pointer[channel] * difference * difference
        }
        total += Double(row)
      }
      return total
    }
    y.pointer[sample] = Float(sum / Double(positions))
  }
  return y.recording(from: [a]) { dY in
    a.node?.accumulate { dA, accumulating in
      for sample in 0..<batch {
        let factor = 2 * dY.pointer[sample] / Float(positions)
        parallelChunks(positions, of: 256) { range in
          for position in range {
            let index = (sample * positions + position) * channels
            for channel in 0..<channels {
              let value =
                factor * weights.pointer[channel] * (a.pointer[index + channel] - b.pointer[index + channel])
              dA.pointer[index + channel] = accumulating ? dA.pointer[index + channel] + value : value
            }
          }
        }
      }
    }
  }
}
