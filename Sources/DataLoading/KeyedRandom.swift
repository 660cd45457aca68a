/// Random numbers that depend on nothing but their key.
///
/// What is drawn for a sample does not depend on the number of ranks or threads, nor on what was drawn before, so a run
/// continues exactly without storing generator states. The sequence is SplitMix64's, started from a hash of the key.
public struct KeyedRandom: Sendable {
  /// What numbers are used for; each purpose has a sequence of its own.
  public enum Purpose: UInt64, Sendable {
    /// The order of the images in an epoch.
    case order = 1
    /// Crop, flip and the other choices of a view.
    case view = 2
  }

  private var state: UInt64

  /// Starts the sequence of a key.
  /// - Parameters:
  ///   - seed: The run's seed.
  ///   - purpose: What the numbers are for.
  ///   - epoch: How many times the whole data set was gone through before.
  ///   - sample: Index of the image in its data set.
  ///   - view: Which of several views of the image.
  public init(seed: UInt64, purpose: Purpose, epoch: Int, sample: Int = 0, view: Int = 0) {
    state = mixed(seed)
    for part in [purpose.rawValue, UInt64(epoch), UInt64(sample), UInt64(view)] {
      // An odd constant keeps a part of zero from leaving the state as it is.
      state = mixed(state ^ (part &+ 1) &* 0x9E37_79B9_7F4A_7C15)
    }
  }

  /// 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return mixed(state)
  }

  /// A number in `0..<bound`, each as likely as the others to within 2⁻³².
  public mutating func integer(below bound: Int) -> Int {
    require(bound > 0 && bound <= 1 << 32, "KeyedRandom: bound \(bound) is not in 1...2³²")
    return Int(((next() >> 32) * UInt64(bound)) >> 32)
  }

  /// A number in [0, 1).
  public mutating func unitInterval() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// SplitMix64's finaliser: every bit of the input reaches every bit of the result.
func mixed(_ value: UInt64) -> UInt64 {
  var bits = value
  bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
  bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
  return bits ^ (bits >> 31)
}
