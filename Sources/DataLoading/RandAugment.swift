import Foundation

/// RandAugment (Cubuk et al., 2020) as timm's `rand-mM-mstdS-inc1` configures it: a few operations drawn from a fixed
/// list, each applied with probability one half and a strength drawn from a normal distribution.
public struct RandAugment: Codable, Sendable, Equatable {
  /// Mean strength, from 0 to 10.
  public var magnitude: Double
  /// Standard deviation of the strength; draws outside 0…10 become 0 or 10.
  public var magnitudeDeviation: Double
  /// Operations drawn per picture, with replacement.
  public var operationCount: Int

  /// `rand-m7-mstd0.5-inc1` unless told otherwise.
  public init(magnitude: Double = 7, magnitudeDeviation: Double = 0.5, operationCount: Int = 2) {
    self.magnitude = magnitude
    self.magnitudeDeviation = magnitudeDeviation
    self.operationCount = operationCount
  }

  /// The probability with which a drawn operation is applied.
  static let probability = 0.5
  /// What appears where a picture is moved away: ImageNet's mean colour.
  static let fill: [UInt8] = [124, 116, 104]

  /// Reads timm's notation `rand-m7-mstd0.5-inc1`, with `-nCOUNT` for another number of operations.
  /// - Returns: `nil` for any other text. `inc1` is required: only the list of increasing strengths is there.
  public init?(timmName: String) {
    var parts = timmName.split(separator: "-", omittingEmptySubsequences: false)[...]
    guard parts.popFirst() == "rand", let increasing = parts.firstIndex(of: "inc1") else { return nil }
    parts.remove(at: increasing)
    self.init(magnitudeDeviation: 0)
    var hasMagnitude = false
    for part in parts {
      if part.hasPrefix("mstd"), let value = Double(part.dropFirst(4)) {
        magnitudeDeviation = value
      } else if part.hasPrefix("m"), let value = Double(part.dropFirst()) {
        magnitude = value
        hasMagnitude = true
      } else if part.hasPrefix("n"), let value = Int(part.dropFirst()) {
        operationCount = value
      } else {
        return nil
      }
    }
    guard hasMagnitude, problem == nil else { return nil }
  }

  /// Why these options make no sense, or `nil`.
  var problem: String? {
    if !(0...10).contains(magnitude) { return "RandAugment's magnitude is \(magnitude); it must be in 0...10" }
    if !(magnitudeDeviation >= 0 && magnitudeDeviation.isFinite) {
      return "RandAugment's magnitudeDeviation is \(magnitudeDeviation); it must not be negative"
    }
    return operationCount < 1 ? "RandAugment's operationCount is \(operationCount); it must be at least 1" : nil
  }

  /// Draws operations and applies them. Every operation draws the same numbers, used or not.
  func callAsFunction(_ image: PixelImage, using random: inout KeyedRandom) -> PixelImage {
    var image = image
    for _ in 0..<operationCount {
      let operation = Operation.allCases[random.integer(below: Operation.allCases.count)]
      let isApplied = random.unitInterval() < Self.probability
      let strength = min(max(magnitude + magnitudeDeviation * random.normal(), 0), 10)
      let isNegative = random.integer(below: 2) == 1
      let interpolation = PixelImage.Interpolation.allCases[random.integer(below: 2)]
      guard isApplied else { continue }
      image = operation.apply(
        to: image, operation.argument(strength: strength, isNegative: isNegative), interpolation: interpolation)
    }
    return image
  }

  /// timm's list of operations that do more the stronger they are, under timm's names.
  enum Operation: String, CaseIterable {
    case autoContrast = "AutoContrast"
    case equalize = "Equalize"
    case invert = "Invert"
    case rotate = "Rotate"
    case posterize = "PosterizeIncreasing"
    case solarize = "SolarizeIncreasing"
    case solarizeAdd = "SolarizeAdd"
    case color = "ColorIncreasing"
    case contrast = "ContrastIncreasing"
    case brightness = "BrightnessIncreasing"
    case sharpness = "SharpnessIncreasing"
    case shearX = "ShearX"
    case shearY = "ShearY"
    case translateX = "TranslateXRel"
    case translateY = "TranslateYRel"

    /// What a strength from 0 to 10 means to this operation: degrees, bits, levels, a factor or a share.
    func argument(strength: Double, isNegative: Bool) -> Double {
      let share = strength / 10
      let sign = isNegative ? -1.0 : 1
      return switch self {
      case .autoContrast, .equalize, .invert: 0
      case .rotate: sign * share * 30
      case .posterize: 4 - (share * 4).rounded(.down)
      case .solarize: 256 - min((share * 256).rounded(.down), 256)
      case .solarizeAdd: min((share * 110).rounded(.down), 128)
      case .color, .contrast, .brightness, .sharpness: max(0.1, 1 + sign * share * 0.9)
      case .shearX, .shearY: sign * share * 0.3
      case .translateX, .translateY: sign * share * 0.45
      }
    }

    func apply(to image: PixelImage, _ argument: Double, interpolation: PixelImage.Interpolation) -> PixelImage {
      let moved = { (matrix: [Double]) in image.transformed(matrix, interpolation, fill: fill) }
      return switch self {
      case .autoContrast: image.withFullRange()
      case .equalize: image.equalized()
      case .invert: image.inverted()
      case .rotate: image.rotated(degrees: argument, interpolation, fill: fill)
      case .posterize: image.posterized(to: Int(argument))
      case .solarize: image.solarized(from: Int(argument))
      case .solarizeAdd: image.solarized(adding: Int(argument))
      case .color: image.withSaturation(argument)
      case .contrast: image.withContrast(argument)
      case .brightness: image.withBrightness(argument)
      case .sharpness: image.withSharpness(argument)
      case .shearX: moved([1, argument, 0, 0, 1, 0])
      case .shearY: moved([1, 0, 0, argument, 1, 0])
      case .translateX: moved([1, 0, argument * Double(image.width), 0, 1, 0])
      case .translateY: moved([1, 0, 0, 0, 1, argument * Double(image.height)])
      }
    }
  }
}

extension KeyedRandom {
  /// A number of the standard normal distribution (Box and Muller), from two draws.
  mutating func normal() -> Double {
    let radius = (-2 * log(1 - unitInterval())).squareRoot()
    return radius * cos(2 * .pi * unitInterval())
  }

  /// A number in `range`, uniformly.
  mutating func uniform(_ range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * unitInterval()
  }
}
