import Glibc

/// The Inception Score (Salimans et al., 2016): `exp(mean KL(p(y|x) ‖ p(y)))` over equal consecutive parts of the images.
///
/// Holds sums only, exactly the same for any number of ranks.
public struct InceptionScore: Sendable {
  /// Images of all parts together.
  public let imageCount: Int
  /// Classes.
  public let classCount: Int
  /// Parts.
  public let partCount: Int
  /// Per part: `classCount` sums of probabilities, then the sum of `Σ p·log p`.
  public var sums: ExactSums

  /// The score of `imageCount` images in at most `partCount` parts.
  public init(imageCount: Int, classCount: Int, partCount: Int = 10) {
    self.imageCount = imageCount
    self.classCount = classCount
    self.partCount = max(1, min(partCount, imageCount))
    sums = ExactSums(count: self.partCount * (classCount + 1))
  }

  /// Adds the logits of one image.
  /// - Parameter index: Which image it is, in `0..<imageCount`.
  public mutating func add(logits: some Collection<Double>, at index: Int) {
    require(logits.count == classCount, "InceptionScore: \(logits.count) logits for \(classCount) classes")
    let part = index * partCount / imageCount
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
    let scores = (0..<partCount).map { part -> Double in
      let first = (part * imageCount + partCount - 1) / partCount
      let end = ((part + 1) * imageCount + partCount - 1) / partCount
      let n = Double(end - first)
      let own = values[part * (classCount + 1)..<(part + 1) * (classCount + 1)]
      let marginal = own.dropLast().reduce(0) { sum, total in
        let probability = total / n
        return probability > 0 ? sum + probability * log(probability) : sum
      }
      return exp((own.last ?? .nan) / n - marginal)
    }
    let mean = scores.reduce(0, +) / Double(partCount)
    let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(partCount)
    return (mean, variance.squareRoot())
  }
}
