public import DataLoading
import Foundation

/// What a model makes of a few samples.
public struct ValidationPicture {
  /// What such a picture shows, which names its folder in the run directory and its tag in TensorBoard.
  public enum Kind: String, CaseIterable, Sendable {
    /// What a tokenizer keeps of images.
    case reconstructions
    /// What a generator draws.
    case samples
  }

  /// What it shows.
  public let kind: Kind
  /// The picture.
  public let image: PixelImage

  /// A picture of that kind.
  public init(_ kind: Kind, _ image: PixelImage) {
    self.kind = kind
    self.image = image
  }
}

/// The pictures that validations leave, `RUN/reconstructions/step-00000200.jpg`: some over the whole run, never many.
struct PictureHistory {
  /// More than these are thinned out to half as many.
  static let capacity = 16
  private let folder: String

  init(_ directory: RunDirectory, _ kind: ValidationPicture.Kind) { folder = "\(directory.path)/\(kind.rawValue)" }

  /// The pictures by step, ascending.
  func pictures() -> [(step: Int, path: String)] {
    // A run without the folder has no pictures.
    guard let names = FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] else { return [] }
    return names.compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".jpg"), let step = Int(name.dropFirst(5).dropLast(4)) else {
        return nil
      }
      return (step, "\(folder)/\(name)")
    }.sorted { $0.0 < $1.0 }
  }

  /// Keeps the picture of a step, in the place of those of later steps, which the run has gone back from. Where there are
  /// too many, every second one goes, but not the first and not the newest.
  /// - Throws: `RunDirectoryError`.
  func keep(_ jpeg: [UInt8], step: Int) throws(RunDirectoryError) {
    guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw .system("mkdir", folder) }
    let digits = String(step)
    let path = "\(folder)/step-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits).jpg"
    try replaceFile(path, with: jpeg)
    var superfluous = pictures().filter { $0.step > step }
    let kept = pictures().filter { $0.step <= step }
    if kept.count > Self.capacity {
      superfluous += kept.enumerated().filter { $0.offset % 2 == 1 && $0.offset < kept.count - 1 }.map(\.element)
    }
    for picture in superfluous {
      guard unlink(picture.path) == 0 || errno == ENOENT else { throw .system("unlink", picture.path) }
    }
  }
}
