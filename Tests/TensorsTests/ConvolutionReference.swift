import Tensors

/// A convolution written out as its definition, in float64.
func referenceConvolution(
  _ x: Tensor, weight: Tensor, bias: Tensor?, stride: Int, padding: Padding
) -> [Double] {
  let (batch, height, width, inputs) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
  let (kernelHeight, kernelWidth, outputs) = (weight.shape[0], weight.shape[1], weight.shape[3])
  let outputHeight = (height + 2 * padding.vertical - kernelHeight) / stride + 1
  let outputWidth = (width + 2 * padding.horizontal - kernelWidth) / stride + 1
  let (x, w) = (x.values.map(Double.init), weight.values.map(Double.init))
  let start = bias?.values.map(Double.init) ?? [Double](repeating: 0, count: outputs)
  var y: [Double] = []
  for n in 0..<batch {
    for i in 0..<outputHeight {
      for j in 0..<outputWidth {
        var pixel = start
        for a in 0..<kernelHeight {
          for b in 0..<kernelWidth {
            let (row, column) = (i * stride + a - padding.vertical, j * stride + b - padding.horizontal)
            guard (0..<height).contains(row), (0..<width).contains(column) else { continue }
            for c in 0..<inputs {
              let value = x[((n * height + row) * width + column) * inputs + c]
              let taps = ((a * kernelWidth + b) * inputs + c) * outputs
              for o in 0..<outputs { pixel[o] += value * w[taps + o] }
            }
          }
        }
        y += pixel
      }
    }
  }
  return y
}

/// The largest difference, relative to the largest reference value.
func relativeError(_ values: [Float], _ reference: [Double]) -> Double {
  guard values.count == reference.count else { return .infinity }
  let scale = reference.reduce(0) { max($0, abs($1)) }
  return zip(values, reference).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / scale
}
