public import Kernels

/// How one token is chosen from a row of logits, as the kernels know it.
public typealias TokenFilter = Kernels.TokenFilter

/// How images' codes are drawn from a generator.
public struct SamplingOptions: Codable, Sendable, Equatable {
  /// How the guidance scale moves over an image's tokens.
  public enum GuidanceSchedule: String, Codable, Sendable, CaseIterable {
    /// The same scale for all tokens.
    case constant
    /// From 1 at the first token to the given scale at the last.
    case linear
  }

  /// What applies to one factor of a code.
  public struct Factor: Codable, Sendable, Equatable {
    /// Classifier-free guidance: logits are `l_u + guidance·(l_c − l_u)`. 1: none.
    public var guidance: Float = 1
    /// Temperature, top-k and top-p; temperature 0 is greedy.
    public var filter = TokenFilter()

    /// Draws from the logits as they are.
    public init(guidance: Float = 1, filter: TokenFilter = TokenFilter()) {
      self.guidance = guidance
      self.filter = filter
    }
  }

  /// The first factor.
  public var pre = Factor()
  /// The second factor.
  public var post = Factor()
  /// How guidance moves.
  public var schedule = GuidanceSchedule.constant
  /// With an image's number, it decides all draws.
  public var seed: UInt64 = 0
  /// Order `raster`: what the merge instruction asks for; order `random`: tokens to generate.
  public var keepCount = 144
  /// Order `raster`: instead of the configuration's window.
  public var window: Int?
  /// Order `random`: steps of parallel decoding.
  public var steps = 64

  /// Draws without guidance or filters.
  public init() {}

  /// Everything that is wrong, each as (key, what is wrong and what would be right).
  public func problems(for config: GeneratorConfig) -> [(key: String, message: String)] {
    var problems: [(String, String)] = []
    func expect(_ condition: Bool, _ key: String, _ message: @autoclosure () -> String) {
      if !condition { problems.append((key, message())) }
    }
    for (name, factor) in [("pre", pre), ("post", post)] {
      let filter = factor.filter
      expect(
        factor.guidance >= 0 && factor.guidance.isFinite, "\(name).guidance",
        "\(factor.guidance) is below 0; 1 is no guidance, larger follows the class more")
      expect(
        filter.temperature >= 0 && filter.temperature.isFinite, "\(name).temperature",
        "\(filter.temperature) must not be negative; 0 is greedy")
      expect(filter.topK >= 0, "\(name).topK", "\(filter.topK) must not be negative; 0 keeps all")
      expect(filter.topP > 0 && filter.topP <= 1, "\(name).topP", "\(filter.topP) is outside (0, 1]; 1 keeps all")
    }
    expect(
      config.order == .plain || (1...config.positionCount).contains(keepCount), "keepCount",
      "\(keepCount) is outside 1...\(config.positionCount), the positions of an image")
    expect((window ?? 0) >= 0, "window", "\(window ?? 0) must not be negative")
    expect(steps > 0, "steps", "\(steps) must be positive")
    return problems
  }

  /// Whether the unconditional streams are needed.
  var isGuided: Bool { pre.guidance != 1 || post.guidance != 1 }

  /// The guidance scale of a factor when `done` of `count` tokens are there.
  func guidance(of factor: Factor, done: Int, count: Int) -> Float {
    switch schedule {
    case .constant: factor.guidance
    case .linear: 1 + (factor.guidance - 1) * Float(done) / Float(max(1, count - 1))
    }
  }
}
