/// How fast a run goes and how long it has left, from the times of its steps.
public struct Pace: Sendable {
  /// The share that the newest step has in the average.
  private static let weight = 0.1
  private var secondsPerStep: Double?
  private var imagesPerStep = 0.0

  /// Knows nothing yet.
  public init() {}

  /// Takes in a step: images of the global batch and the time it took, pauses for validation excluded.
  public mutating func record(images: Int, duration: Duration) {
    let seconds = duration / .seconds(1)
    secondsPerStep = secondsPerStep.map { $0 + Self.weight * (seconds - $0) } ?? seconds
    imagesPerStep = Double(images)
  }

  /// Images per second over the last ten steps or so, of all ranks together; nil before the first step.
  public var imagesPerSecond: Double? {
    secondsPerStep.flatMap { $0 > 0 ? imagesPerStep / $0 : nil }
  }

  /// Time for that many further steps; nil before the first step.
  public func timeLeft(steps: Int) -> Duration? { secondsPerStep.map { .seconds($0 * Double(steps)) } }
}
