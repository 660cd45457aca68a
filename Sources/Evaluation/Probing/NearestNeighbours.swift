import Glibc
import Kernels

/// The samples nearest to one by the cosine of their features.
public struct NearestNeighbours: Sendable, Equatable {
  /// One of them.
  public struct Neighbour: Sendable, Equatable, BitwiseCopyable {
    /// The cosine.
    public var similarity: Float
    /// Which sample of the bank it is.
    public var index: Int32
    /// Its class.
    public var label: Int32

    /// A sample of the bank.
    public init(similarity: Float, index: Int32, label: Int32) {
      self.similarity = similarity
      self.index = index
      self.label = label
    }

    /// Nearer, or as near and earlier in the bank: an order without ties.
    fileprivate func precedes(_ other: Neighbour) -> Bool {
      (-similarity, index) < (-other.similarity, other.index)
    }
  }

  /// At most k of them, nearest first.
  public private(set) var neighbours: [Neighbour] = []
  private let limit: Int

  /// The nearest `limit`, none yet.
  public init(limit: Int) { self.limit = limit }

  /// Takes a sample if it is near enough.
  public mutating func insert(_ candidate: Neighbour) {
    if neighbours.count == limit {
      guard let last = neighbours.last, candidate.precedes(last) else { return }
      neighbours.removeLast()
    }
    let place = neighbours.firstIndex { candidate.precedes($0) } ?? neighbours.count
    neighbours.insert(candidate, at: place)
  }

  /// How many classes have more votes than `label`; among equal votes the first class counts.
  ///
  /// Every neighbour votes for its class with weight `exp(cosine / temperature)`, as Wu et al. (2018).
  public func rank(of label: Int32, classCount: Int, temperature: Double) -> Int {
    var votes = [Double](repeating: 0, count: classCount)
    // One is the largest cosine: the weights stay finite whatever the temperature.
    for neighbour in neighbours {
      votes[Int(neighbour.label)] += exp((Double(neighbour.similarity) - 1) / temperature)
    }
    let own = votes[Int(label)]
    return votes.enumerated().count { $0.element > own || ($0.element == own && $0.offset < Int(label)) }
  }

  /// Compares a block of queries with a block of the bank.
  /// - Parameters:
  ///   - queries: Vectors of length 1, row by row; each has its place in `found`.
  ///   - bank: Vectors of length 1.
  ///   - firstIndex: What the first vector of `bank` is called.
  ///   - featureCount: Values of a vector.
  ///   - found: The nearest so far, one for each query; nearer ones of `bank` replace them.
  public static func search(
    _ queries: [Float], among bank: LinearProbe.Block, firstIndex: Int, featureCount: Int,
    into found: inout [NearestNeighbours]
  ) {
    let (rows, columns) = (found.count, bank.labels.count)
    require(queries.count == rows * featureCount, "NearestNeighbours: \(queries.count) values for \(rows) queries")
    var cosines = [Float](repeating: 0, count: rows * columns)
    withMatrix(queries, rows: rows, columns: featureCount) { queries in
      withMatrix(bank.features, rows: columns, columns: featureCount) { bank in
        cosines.withUnsafeMutableBufferPointer { cosines in
          guard let base = cosines.baseAddress else { return }
          gemmOnThisThread(queries, bank.transposed, into: MatrixView(base, rows: rows, columns: columns))
        }
      }
    }
    for row in 0..<rows {
      for column in 0..<columns {
        found[row].insert(
          Neighbour(
            similarity: cosines[row * columns + column], index: Int32(firstIndex + column),
            label: bank.labels[column]))
      }
    }
  }

  /// Vectors scaled to length 1; a vector of zeros stays.
  public static func normalized(_ features: [Float], featureCount: Int) -> [Float] {
    var result = features
    for start in stride(from: 0, to: features.count, by: featureCount) {
      let range = start..<start + featureCount
      let length = features[range].reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      guard length > 0 else { continue }
      for index in range { result[index] = Float(Double(features[index]) / length) }
    }
    return result
  }
}
