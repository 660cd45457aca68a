/// What a rank means to do, in words: everything that must agree between ranks, to be compared and shown to the user.
enum Intent {
  static let allGatherBytes = "allGather(bytes:)"
  static let barrier = "barrier"
  static let duplicate = "duplicate"

  static func allReduce<Element>(_ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction) -> String {
    "allReduce(\(values.count) × \(Element.self), .\(reduction))"
  }

  static func reduceScatter<Element>(
    _ values: UnsafeMutableBufferPointer<Element>, _ ranges: [Range<Int>], _ reduction: Reduction,
    _ format: WireFormat
  ) -> String { "reduceScatter(\(values.count) × \(Element.self), \(describe(ranges)), .\(reduction), .\(format))" }

  static func allGather<Element>(
    _ values: UnsafeMutableBufferPointer<Element>, _ ranges: [Range<Int>]
  ) -> String { "allGather(\(values.count) × \(Element.self), \(describe(ranges)))" }

  static func broadcast(_ bytes: UnsafeMutableRawBufferPointer, _ root: Int) -> String {
    "broadcast(\(bytes.count) bytes, from: \(root))"
  }

  private static func describe(_ ranges: [Range<Int>]) -> String {
    ranges.map { "\($0.lowerBound)..<\($0.upperBound)" }.joined(separator: " ")
  }
}
