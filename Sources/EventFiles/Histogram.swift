/// How values are distributed, as TensorBoard's event files store it.
public struct Histogram: Sendable, Equatable {
  /// The smallest and the largest value.
  public let minimum: Double, maximum: Double
  /// How many values there are, their sum and the sum of their squares.
  public let count: Double, sum: Double, sumOfSquares: Double
  /// The upper ends of the buckets, ascending, and how many values lie in each: from the end before on, below
  /// its own; the last one holds the largest value too.
  public let limits: [Double], counts: [Double]

  /// Counts values into buckets of equal width between the smallest and the largest. Values that are not finite are left
  /// out; nil where none is left.
  public init?(of values: [Float], bucketCount: Int = 30) {
    guard let histogram = values.withUnsafeBufferPointer({ Histogram(of: [$0], bucketCount: bucketCount) }) else {
      return nil
    }
    self = histogram
  }

  /// The same of values that lie in several places, which are not brought together: they may be all weights of a model.
  public init?(of parts: [UnsafeBufferPointer<Float>], bucketCount: Int = 30) {
    var (minimum, maximum) = (Float.infinity, -Float.infinity)
    var (count, sum, squares) = (0, 0.0, 0.0)
    for part in parts {
      for value in part where value.isFinite {
        minimum = min(minimum, value)
        maximum = max(maximum, value)
        count += 1
        sum += Double(value)
        squares += Double(value) * Double(value)
      }
    }
    guard count > 0 else { return nil }
    let (low, high) = (Double(minimum), Double(maximum))
    // All values alike: one bucket that ends with them.
    let width = high > low ? (high - low) / Double(bucketCount) : 0
    let buckets = width > 0 ? bucketCount : 1
    var counts = [Double](repeating: 0, count: buckets)
    for part in parts {
      for value in part where value.isFinite {
        let index = width > 0 ? Int((Double(value) - low) / width) : 0
        counts[min(index, buckets - 1)] += 1
      }
    }
    self.minimum = low
    self.maximum = high
    self.count = Double(count)
    self.sum = sum
    sumOfSquares = squares
    limits = (1...buckets).map { $0 == buckets ? high : low + Double($0) * width }
    self.counts = counts
  }
}
