/// A batch that has not come for long: how long it is waited for, and what the loader threads are at.
public struct DataStall: Sendable, CustomStringConvertible {
  /// An image that a loader thread is reading or decoding.
  public struct Work: Sendable {
    /// Its path, or `archive.tar!member`.
    public var name: String
    /// Since when.
    public var duration: Duration
  }

  /// How long.
  public var waited: Duration
  /// One for each busy loader thread, the longest first.
  public var work: [Work]

  /// `has waited 12.0 s for images; reading /data/train.tar!n01440764.tar!n01440764_18.JPEG for 11.9 s`.
  public var description: String {
    let shown = work.prefix(3).map { "\($0.name) for \(seconds($0.duration))" }
    let reading = shown.isEmpty ? "no loader thread is busy" : "reading " + shown.joined(separator: ", ")
    return "has waited \(seconds(waited)) for images; \(reading)"
      + (work.count > 3 ? " and \(work.count - 3) more" : "")
  }

  private func seconds(_ duration: Duration) -> String {
    let tenths = Int((duration / .milliseconds(100)).rounded())
    return "\(tenths / 10).\(tenths % 10) s"
  }
}
