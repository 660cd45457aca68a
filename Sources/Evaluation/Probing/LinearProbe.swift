import Glibc
import Kernels

/// A linear classifier of frozen features: `logits = W·x + b`.
///
/// Works on blocks of samples, each on one thread: what it computes of a block depends on nothing else.
public struct LinearProbe: Sendable {
  /// Values of a feature vector.
  public let featureCount: Int
  /// Classes.
  public let classCount: Int
  /// `W`, `[classCount, featureCount]`, then `b`.
  public var parameters: [Float]

  /// Samples with their classes.
  public struct Block: Sendable {
    /// Feature vectors, row by row.
    public var features: [Float]
    /// One class a sample.
    public var labels: [Int32]

    /// Samples with their classes.
    public init(features: [Float], labels: [Int32]) {
      self.features = features
      self.labels = labels
    }
  }

  /// A classifier whose weights are normal with deviation 0.01 within two deviations, as in He et al. (2022), and whose
  /// biases are 0.
  public init(featureCount: Int, classCount: Int, using random: inout some RandomNumberGenerator) {
    self.featureCount = featureCount
    self.classCount = classCount
    parameters = (0..<featureCount * classCount).map { _ in
      while true {
        let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &random))).squareRoot()
        let value = radius * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
        if abs(value) <= 2 { return Float(0.01 * value) }
      }
    }
    parameters += Array(repeating: 0, count: classCount)
  }

  /// Where `W` and `b` lie in `parameters`.
  public var layers: (weights: Range<Int>, bias: Range<Int>) {
    let count = featureCount * classCount
    return (0..<count, count..<count + classCount)
  }

  /// The scores of every sample and class, `[samples, classCount]`.
  private func logits(of block: Block) -> [Float] {
    let count = block.labels.count
    require(
      block.features.count == count * featureCount,
      "LinearProbe: \(block.features.count) values for \(count) vectors of \(featureCount)")
    let bias = parameters[layers.bias]
    var logits = (0..<count).flatMap { _ in bias }
    withMatrix(block.features, rows: count, columns: featureCount) { features in
      withMatrix(parameters, rows: classCount, columns: featureCount) { weights in
        logits.withUnsafeMutableBufferPointer { logits in
          guard let base = logits.baseAddress else { return }
          gemmOnThisThread(
            features, weights.transposed, into: MatrixView(base, rows: count, columns: classCount),
            accumulating: true)
        }
      }
    }
    return logits
  }

  /// The sum over a block of the gradient of the cross-entropy, laid out as `parameters`, and of the cross-entropy itself
  /// in nats.
  public func gradient(of block: Block) -> (gradient: [Float], loss: Double) {
    let count = block.labels.count
    var errors = logits(of: block)
    var loss = 0.0
    for (row, label) in block.labels.enumerated() {
      let range = row * classCount..<(row + 1) * classCount
      let largest = errors[range].max() ?? 0
      let exponentials = errors[range].map { exp(Double($0 - largest)) }
      let total = exponentials.reduce(0, +)
      loss += log(total) - Double(errors[range.lowerBound + Int(label)] - largest)
      for (index, exponential) in zip(range, exponentials) { errors[index] = Float(exponential / total) }
      errors[range.lowerBound + Int(label)] -= 1
    }
    var gradient = [Float](repeating: 0, count: parameters.count)
    gradient.withUnsafeMutableBufferPointer { gradient in
      guard let base = gradient.baseAddress else { return }
      for row in 0..<count {
        for index in 0..<classCount { base[layers.bias.lowerBound + index] += errors[row * classCount + index] }
      }
      withMatrix(errors, rows: count, columns: classCount) { errors in
        withMatrix(block.features, rows: count, columns: featureCount) { features in
          gemmOnThisThread(
            errors.transposed, features, into: MatrixView(base, rows: classCount, columns: featureCount))
        }
      }
    }
    return (gradient, loss)
  }

  /// For every sample of a block the number of classes that the classifier prefers to the right one; among equal scores
  /// the first class counts.
  public func ranks(of block: Block) -> [Int] {
    let logits = logits(of: block)
    return block.labels.enumerated().map { row, label in
      let scores = logits[row * classCount..<(row + 1) * classCount]
      let own = scores[scores.startIndex + Int(label)]
      return scores.enumerated().count { $0.element > own || ($0.element == own && $0.offset < Int(label)) }
    }
  }
}

/// Calls `body` with a view of values as a matrix that is only read.
func withMatrix(_ values: [Float], rows: Int, columns: Int, _ body: (MatrixView) -> Void) {
  values.withUnsafeBufferPointer { values in
    guard let base = values.baseAddress else { return }
    body(MatrixView(UnsafeMutablePointer(mutating: base), rows: rows, columns: columns))
  }
}
