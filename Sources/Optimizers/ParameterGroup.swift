/// A range of the parameter arena that departs from the optimizer's defaults.
public struct ParameterGroup: Sendable, Equatable {
  /// Positions in the parameter arena, in floats.
  public var range: Range<Int>
  /// Multiplies the step's learning rate; 0 freezes the range.
  public var learningRateScale: Float
  /// Weight decay of this range, instead of the optimizer's.
  public var weightDecay: Float

  /// Creates a group from its arena range.
  public init(range: Range<Int>, learningRateScale: Float = 1, weightDecay: Float = 0) {
    self.range = range
    self.learningRateScale = learningRateScale
    self.weightDecay = weightDecay
  }
}

extension ParameterGroup {
  /// Cuts `range` at the borders of `groups`: every float of `range` falls into exactly one segment, in ascending
  /// order, and floats that no group names take `weightDecay` and a learning-rate scale of 1.
  ///
  /// Neighbouring segments with equal settings are joined, so thousands of small tensors cost few calls.
  /// - Precondition: The groups do not overlap.
  static func segments(of range: Range<Int>, groups: [ParameterGroup], weightDecay: Float) -> [ParameterGroup] {
    var segments: [ParameterGroup] = []
    func append(_ segment: ParameterGroup) {
      guard !segment.range.isEmpty else { return }
      if let last = segments.last, last.learningRateScale == segment.learningRateScale,
        last.weightDecay == segment.weightDecay
      {
        segments[segments.count - 1].range = last.range.lowerBound..<segment.range.upperBound
      } else {
        segments.append(segment)
      }
    }
    var position = range.lowerBound
    var previousEnd = Int.min
    for group in groups.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) where !group.range.isEmpty {
      require(group.range.lowerBound >= previousEnd, "parameter groups overlap at float \(group.range.lowerBound)")
      previousEnd = group.range.upperBound
      var part = group
      part.range = group.range.clamped(to: position..<range.upperBound)
      guard !part.range.isEmpty else { continue }
      append(ParameterGroup(range: position..<part.range.lowerBound, weightDecay: weightDecay))
      append(part)
      position = part.range.upperBound
    }
    append(ParameterGroup(range: position..<range.upperBound, weightDecay: weightDecay))
    return segments
  }
}
