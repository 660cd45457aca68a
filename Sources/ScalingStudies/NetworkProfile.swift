public import Scaling
public import Training

/// A network as a YAML file: `Cluster/networks/NAME.yaml`.
public struct NetworkProfile: Recipe {
  /// What it is called.
  public var name = ""
  /// Microseconds until a small message has arrived, from process to process.
  public var latencyMicroseconds = 0.0
  /// Microseconds for which a message keeps its sender busy.
  public var overheadMicroseconds = 0.0
  /// The line rate of a node's link, each way.
  public var gigabitsPerSecond = 0.0
  /// The share of the line rate that is left for the bytes of messages.
  public var payloadShare = 1.0

  /// Nothing yet.
  public init() {}

  /// Checks that messages arrive, and in some time.
  public func validate() throws(ConfigError) {
    try check(!name.isEmpty, "name", "is empty; name the network")
    try check(latencyMicroseconds > 0, "latencyMicroseconds", "is \(latencyMicroseconds); it must be positive")
    try check(overheadMicroseconds >= 0, "overheadMicroseconds", "is \(overheadMicroseconds); it may not be negative")
    try check(gigabitsPerSecond > 0, "gigabitsPerSecond", "is \(gigabitsPerSecond); it must be positive")
    try check(
      payloadShare > 0 && payloadShare <= 1, "payloadShare", "is \(payloadShare); it must lie in 0...1, above 0")
  }

  /// The profile of a measured network.
  public init(_ network: Network) {
    name = network.name
    latencyMicroseconds = network.latency * 1e6
    overheadMicroseconds = network.overhead * 1e6
    gigabitsPerSecond = network.bytesPerSecond * 8e-9
  }

  /// What the model wants to know of it.
  public var network: Network {
    Network(
      name: name, latency: latencyMicroseconds * 1e-6, overhead: overheadMicroseconds * 1e-6,
      bytesPerSecond: gigabitsPerSecond / 8 * 1e9 * payloadShare)
  }
}
