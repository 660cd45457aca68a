/// A data set whose classes are numbered as another one's.
///
/// Validation images of some of the classes would otherwise be numbered by their rank among these.
public struct RelabelledImages: ImageDataset {
  private let base: any ImageDataset
  private let numbers: [Int32]
  /// The other data set's.
  public let classNames: [String]

  /// - Returns: `nil` when `base` has a class that is not among `classNames`.
  public init?(_ base: any ImageDataset, classNames: [String]) {
    let ranks = Dictionary(classNames.enumerated().map { ($1, Int32($0)) }) { first, _ in first }
    let numbers = base.classNames.compactMap { ranks[$0] }
    guard numbers.count == base.classNames.count else { return nil }
    self.base = base
    self.numbers = numbers
    self.classNames = classNames
  }

  /// How many images there are.
  public var count: Int { base.count }
  /// The number of the image's class among `classNames`.
  public func label(of index: Int) -> Int32 { numbers[Int(base.label(of: index))] }
  /// As in the data set itself.
  public func name(of index: Int) -> String { base.name(of: index) }
  /// As in the data set itself.
  public func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    try base.image(at: index, decoding: options)
  }
}
