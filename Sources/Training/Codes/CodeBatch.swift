import Generator
import Tokenizer

/// What a generator learns from: images as codes.
public struct CodeBatch: TrainingBatch, Sendable, Equatable {
  /// K: tokens of every image.
  public var keepCount: Int
  /// `B·K` codes.
  public var codes: [Int32] = []
  /// Which of its K tokens every position belongs to: `B·L` numbers.
  public var groups: [Int32] = []
  /// `B` classes.
  public var labels: [Int32] = []
  /// Which images of the codes, or of the data set, these are.
  public var sampleIndices: [Int] = []
  /// Position in the run of the first image, see `Sampler`; decides dropout and order.
  public var firstGlobalIndex: Int

  /// A batch without images.
  public init(keepCount: Int, firstGlobalIndex: Int) {
    self.keepCount = keepCount
    self.firstGlobalIndex = firstGlobalIndex
  }

  /// Number of images.
  public var count: Int { labels.count }

  /// One code per position, in raster order: `B·L` codes.
  public var expandedCodes: [Int32] {
    let length = groups.count / max(1, count)
    return groups.indices.map { codes[$0 / length * keepCount + Int(groups[$0])] }
  }

  /// What the order of generation predicts: one code per position, or the merged tokens alone.
  func targets(order: GeneratorConfig.Order) -> [Int32] { order == .random ? codes : expandedCodes }
}
