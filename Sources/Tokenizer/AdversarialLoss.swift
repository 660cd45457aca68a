public import Tensors

/// What a discriminator's logits are worth to itself and to the generator (method 1.5).
public enum AdversarialLoss {
  /// What the discriminator minimises.
  public enum OfDiscriminator: String, Codable, Sendable, CaseIterable {
    /// `½·(mean max(0, 1 − real) + mean max(0, 1 + fake))`.
    case hinge
    /// `½·(mean softplus(−real) + mean softplus(fake))`.
    case vanilla
    /// `mean softplus(−r) + mean softplus(f)` of each image's mean logits r and f.
    case nonSaturating

    /// The loss of logits of real and of generated images, a scalar.
    /// - Parameters:
    ///   - real: Shape `[B, h, w, 1]`.
    ///   - fake: Shape `[B, h, w, 1]`.
    public func callAsFunction(real: Tensor, fake: Tensor) -> Tensor {
      switch self {
      case .hinge: 0.5 * (meanHinge(real, offset: 1, sign: -1) + meanHinge(fake, offset: 1, sign: 1))
      case .vanilla: 0.5 * (meanSoftplus(real, sign: -1) + meanSoftplus(fake, sign: 1))
      case .nonSaturating: meanSoftplus(sampleMeans(real), sign: -1) + meanSoftplus(sampleMeans(fake), sign: 1)
      }
    }
  }

  /// What the generator minimises.
  public enum OfGenerator: String, Codable, Sendable, CaseIterable {
    /// `mean softplus(−f)` of each image's mean logit f.
    case nonSaturating
    /// `−mean fake`.
    case hinge

    /// The loss of logits of generated images, a scalar.
    /// - Parameter fake: Shape `[B, h, w, 1]`.
    public func callAsFunction(fake: Tensor) -> Tensor {
      switch self {
      case .nonSaturating: meanSoftplus(sampleMeans(fake), sign: -1)
      case .hinge: -1 * mean(fake)
      }
    }
  }
}

/// LeCAM regularisation (Tseng et al., 2021): keeps the discriminator's logits near where those of the other kind have
/// been lately.
///
///     mean max(0, real − f̄)² + mean max(0, r̄ − fake)²
///
/// with moving averages r̄ and f̄ of the mean logits of real and generated images, of all ranks.
public struct LeCAM: Codable, Sendable, Equatable {
  /// r̄.
  public var real: Double
  /// f̄.
  public var fake: Double
  /// How much of an average remains after an update.
  public static let decay = 0.999

  /// Averages as they are before the first update.
  public init(real: Double = 0, fake: Double = 0) {
    self.real = real
    self.fake = fake
  }

  /// Moves the averages; means that are not finite leave them as they were.
  /// - Parameters:
  ///   - meanReal: The mean logit of the real images of all ranks.
  ///   - meanFake: The mean logit of the generated images of all ranks.
  public mutating func update(meanReal: Double, meanFake: Double) {
    guard meanReal.isFinite && meanFake.isFinite else { return }
    real = Self.decay * real + (1 - Self.decay) * meanReal
    fake = Self.decay * fake + (1 - Self.decay) * meanFake
  }

  /// The penalty on logits of real and generated images, a scalar. The averages are those after the update.
  public func callAsFunction(real logitsReal: Tensor, fake logitsFake: Tensor) -> Tensor {
    meanSquaredHinge(logitsReal, offset: -fake, sign: 1) + meanSquaredHinge(logitsFake, offset: real, sign: -1)
  }
}

/// How much the adversarial term counts against the reconstruction's (Esser et al., 2021).
public enum AdversarialWeight: Sendable, Equatable {
  /// Always the same.
  case fixed(Float)
  /// `factor·‖∇ nll‖/(‖∇ adversarial‖ + 1e-4)`, the quotient at most 1e4.
  case adaptive(factor: Float)

  /// The weight.
  /// - Parameters:
  ///   - reconstruction: L2 norm of the reconstruction loss's gradient with respect to the decoder's last weight.
  ///   - adversarial: That of the adversarial loss.
  public func value(reconstruction: Double, adversarial: Double) -> Float {
    switch self {
    case .fixed(let weight): weight
    case .adaptive(let factor): factor * Float(min(1e4, reconstruction / (adversarial + 1e-4)))
    }
  }
}
