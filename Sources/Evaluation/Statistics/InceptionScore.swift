import Glibc

/// The Inception Score (Salimans et al., 2016): `exp(mean KL(p(y|x) ‖ p(y)))` over consecutive parts of the images.
///
/// Holds sums only, exactly the same for any number of ranks.
public struct InceptionScore: Sendable {
  /// Images of all parts together.
  public let imageCount: Int
  /// Classes.
  public let classCount: Int
  /// How images are divided into parts.
  public enum Parts: Sendable, Equatable {
    /// So many parts, as equal as can be.
    case count(Int)
    /// Parts of so many images; the last may be smaller.
    case size(Int)
  }

  /// The first image of every part.
  private let starts: [Int]
  /// Per part: `classCount` sums of probabilities, then the sum of `Σ p·log p`.
  public var sums: ExactSums

  /// The score of `imageCount` images; no part is empty.
  public init(imageCount: Int, classCount: Int, parts: Parts = .count(10)) {
    self.imageCount = imageCount
    self.classCount = classCount
    switch parts {
    case .count(let count):
      let count = max(1, min(count, imageCount))
      starts = (0..<count).map { ($0 * imageCount + count - 1) / count }
    case .size(let size): starts = Array(stride(from: 0, to: max(imageCount, 1), by: size))
    }
    sums = ExactSums(count: starts.count * (classCount + 1))
  }

  /// Adds the logits of one image.
  /// - Parameters:
  ///   - logits: One per class.
  ///   - index: Which image it is, in `0..<imageCount`.
  public mutating func add(logits: some Collection<Double>, at index: Int) {
    require(logits.count == classCount, "InceptionScore: \(logits.count) logits for \(classCount) classes")
    let part = (starts.firstIndex { $0 > index } ?? starts.count) - 1
    let largest = logits.max() ?? 0
    let exponentials = logits.map { exp($0 - largest) }
    let total = exponentials.reduce(0, +)
    let logTotal = log(total) + largest
    var information = 0.0
    for (offset, (logit, exponential)) in zip(logits, exponentials).enumerated() {
      let probability = exponential / total
      sums.add(probability, at: part * (classCount + 1) + offset)
      information += probability * (logit - logTotal)
    }
    sums.add(information, at: part * (classCount + 1) + classCount)
  }

  /// Mean and standard deviation of the parts' scores.
  public var result: (mean: Double, standardDeviation: Double) {
    let values = sums.values
    let scores = starts.indices.map { part -> Double in
      let n = Double((part + 1 < starts.count ? starts[part + 1] : imageCount) - starts[part])
      let own = values[part * (classCount + 1)..<(part + 1) * (classCount + 1)]
      let marginal = own.dropLast().reduce(0) { sum, total in
        let probability = total / n
        return probability > 0 ? sum + probability * log(probability) : sum
      }
      return exp((own.last ?? .nan) / n - marginal)
    }
    let mean = scores.reduce(0, +) / Double(scores.count)
    let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(scores.count)
    return (mean, variance.squareRoot())
  }
}
