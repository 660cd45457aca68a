/// Pictures the program draws itself, with classes: something to train on before any download.
///
/// A picture is a pure function of the seed, its index and the resolution, so every rank, every epoch and every resumed
/// run sees the same data set without a file. The same index shows the same drawing at every resolution. Objects differ
/// in place, size, rotation, colour, material and light, and stand before one of nine kinds of background.
public struct DrawnImages: Sendable {
  /// The classes, in the order of their indices.
  public enum Kind: String, CaseIterable, Sendable {
    case ball, ring, square, triangle, star, cross, heart, flower, face, house, landscape, checkerboard
  }

  /// How many images there are.
  public let count: Int
  /// Another seed gives other drawings of the same classes, for instance for validation.
  public let seed: UInt64

  /// Describes a data set; nothing is drawn yet.
  public init(count: Int, seed: UInt64 = 0) {
    self.count = count
    self.seed = seed
  }

  /// Readable names of the classes, by class index.
  public static let classNames = Kind.allCases.map(\.rawValue)

  /// The class of an image: indices go round the classes, so that all are equally frequent.
  public func kind(at index: Int) -> Kind { Kind.allCases[index % Kind.allCases.count] }

  /// Draws one image.
  /// - Parameters:
  ///   - index: In `0..<count`.
  ///   - resolution: Pixels per side.
  /// - Returns: Red, green and blue bytes of the pixels, row by row: `[resolution, resolution, 3]`.
  public func pixels(at index: Int, resolution: Int) -> [UInt8] {
    var random = DrawnRandom(seed: seed, index: UInt64(index))
    var canvas = DrawnCanvas(resolution: resolution)
    kind(at: index).draw(on: &canvas, using: &random)
    return canvas.bytes()
  }
}
