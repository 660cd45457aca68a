/// When the ranks' gradients meet: `run.communication` in a recipe. It changes times, never values.
public struct CommunicationConfig: ConfigSection {
  /// When a thread of its own reduces gradients while the backward pass computes others.
  public enum Overlap: String, Codable, Sendable, CaseIterable {
    /// Where several ranks each have a core that no compute thread uses (see `run.threads`).
    case automatic
    /// Wherever there are several ranks.
    case always
    /// Gradients are reduced when all are complete.
    case never
  }

  /// Whether gradients are reduced while others are being computed.
  public var overlap = Overlap.automatic
  /// Bytes of gradients that are reduced at a time while others are being computed; nil measures at the start what the
  /// smallest size is that loses little of the network's rate.
  public var bucketBytes: Int?

  /// The defaults.
  public init() {}

  /// Checks that a bucket holds something.
  public func validate() throws(ConfigError) {
    try check(
      bucketBytes ?? 4 >= 4, "bucketBytes", "is \(bucketBytes ?? 0); it must be at least 4, or null to be measured")
  }
}
