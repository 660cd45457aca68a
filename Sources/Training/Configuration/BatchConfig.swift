/// How many images one optimizer step learns from: `batch` in a recipe.
///
/// The size is that of the whole job, so the same recipe means the same training on any number of ranks.
public struct BatchConfig: ConfigSection {
  /// Images of one optimizer step, over all ranks and accumulation rounds.
  public var global = 256
  /// Rounds of forward and backward whose gradients one step sums: more rounds need less memory.
  public var accumulation = 1

  /// The defaults.
  public init() {}

  /// Checks that there is something to learn from.
  public func validate() throws(ConfigError) {
    try check(global > 0, "global", "is \(global); it must be at least 1 image")
    try check(accumulation > 0, "accumulation", "is \(accumulation); it must be at least 1")
  }

  /// Images of one rank in one round.
  /// - Throws: `ConfigError` unless ranks times rounds divide the global batch; it suggests sizes that would do.
  public func imagesPerRank(worldSize: Int) throws(ConfigError) -> Int {
    let shares = worldSize * accumulation
    guard global.isMultiple(of: shares) else {
      let lower = global / shares * shares
      let suggestions = (lower > 0 ? "\(lower) or " : "") + "\(lower + shares)"
      throw ConfigError(
        key: "batch.global",
        problem: "is \(global), which \(worldSize) ranks × \(accumulation) accumulation rounds do not divide; "
          + "use \(suggestions), or another number of ranks")
    }
    return global / shares
  }
}
