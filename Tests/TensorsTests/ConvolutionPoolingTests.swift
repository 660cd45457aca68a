import Tensors
import Testing

struct ConvolutionPoolingTests {
  /// Height, width, channels, window, stride, padding: VGG's, Inception's, and odd ones.
  static let shapes = [
    (4, 6, 3, 2, 2, 0), (7, 5, 70, 2, 2, 0), (9, 8, 5, 3, 2, 0), (5, 6, 4, 3, 1, 1), (7, 7, 2, 3, 2, 1),
  ]

  @Test(arguments: shapes, [Pooling.maximum, .average(countsPadding: true), .average(countsPadding: false)])
  func poolingMatchesItsDefinition(_ shape: (Int, Int, Int, Int, Int, Int), pooling: Pooling) {
    let (height, width, channels, kernel, stride, padding) = shape
    let x = randomTensors([2, height, width, channels])[0]
    let values = x.values
    var expected: [Double] = []
    let (rows, columns) = ((height + 2 * padding - kernel) / stride + 1, (width + 2 * padding - kernel) / stride + 1)
    for index in 0..<2 * rows * columns * channels {
      let (pixel, channel) = (index / channels, index % channels)
      let (image, row, column) = (pixel / (rows * columns), pixel / columns % rows, pixel % columns)
      var window: [Double] = []
      for i in row * stride - padding..<row * stride - padding + kernel where (0..<height).contains(i) {
        for j in column * stride - padding..<column * stride - padding + kernel where (0..<width).contains(j) {
          window.append(Double(values[((image * height + i) * width + j) * channels + channel]))
        }
      }
      switch pooling {
      case .maximum: expected.append(window.max() ?? 0)
      case .average(countsPadding: true): expected.append(window.reduce(0, +) / Double(kernel * kernel))
      case .average(countsPadding: false): expected.append(window.reduce(0, +) / Double(window.count))
      }
    }
    let y = pool(x, pooling, kernelSize: kernel, stride: stride, padding: padding)
    #expect(y.shape == [2, rows, columns, channels])
    #expect(relativeError(y.values, expected) < 1e-6)
  }

  @Test(arguments: shapes, [Pooling.maximum, .average(countsPadding: true), .average(countsPadding: false)])
  func poolingGradients(_ shape: (Int, Int, Int, Int, Int, Int), pooling: Pooling) {
    let (height, width, channels, kernel, stride, padding) = shape
    // All values 0.1 apart in an irregular order, so that no step of the check changes which is largest.
    let count = 2 * height * width * channels
    let x = Tensor((0..<count).map { 0.1 * Float(($0 * 37 + 11) % 101) - 5 }, shape: [2, height, width, channels])
    expectGradient(
      of: { pool($0[0], pooling, kernelSize: kernel, stride: stride, padding: padding) }, at: [x], epsilon: 4e-2)
  }

  @Test func ofEqualMaximaTheFirstTakesTheGradient() {
    let x = Tensor([1, 3, 3, 3], shape: [1, 2, 2, 1]).trackingGradient
    let y = pool(x, .maximum, kernelSize: 2, stride: 2)
    (y + y).backward(from: Tensor([2], shape: [1, 1, 1, 1]))
    #expect(x.gradient.values == [0, 4, 0, 0])
  }
}
