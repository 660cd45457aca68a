/// What is wrong with a data set or with one image of it.
public struct DataError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kinds of trouble; the texts complete a sentence that begins with the path.
  public enum Reason: Sendable, Equatable {
    /// There is no such file or folder.
    case missing
    /// The operating system refused; `detail` is its reason.
    case unreadable(detail: String)
    /// The place exists and holds no images in any known layout.
    case noImages(detail: String)
    /// Zero bytes long.
    case emptyFile
    /// Damaged, cut off, or neither JPEG nor PNG; `detail` is the decoder's reason.
    case undecodable(detail: String)
    /// The header claims more pixels than the limit, so nothing was allocated.
    case tooLarge(width: Int, height: Int, pixelLimit: Int)
    /// The archive breaks off or a header in it does not parse.
    case brokenArchive(offset: Int, detail: String)
    /// Labels of an archive of images that cannot be read or do not fit it.
    case badLabels(detail: String)
    /// A data set description such as `drawn:…` that does not parse.
    case badDescription(detail: String)
    /// More images than the allowed share could not be used.
    case tooManyBadImages(bad: Int, seen: Int, allowedShare: Double, lastReason: String)
    /// Too many unusable images in a row to find a replacement.
    case noReplacement(position: Int, attempts: Int, lastReason: String)
    /// An image could not be written.
    case unwritable(detail: String)
  }

  /// The file, the folder, or an image inside an archive as `archive.tar!member`.
  public let path: String
  /// What is wrong with it.
  public let reason: Reason

  /// Names what is wrong with the thing at `path`.
  public init(path: String, reason: Reason) {
    self.path = path
    self.reason = reason
  }

  /// The path, the reason, and the next move where there is one.
  public var description: String { "\(path): \(reason.description)" }
}

extension DataError.Reason: CustomStringConvertible {
  /// The reason without the path, as it is written to `bad-images.jsonl`.
  public var description: String {
    switch self {
    case .missing: "no such file or folder"
    case .unreadable(let detail): "cannot be read: \(detail)"
    case .noImages(let detail): "no images found; \(detail)"
    case .emptyFile: "the file is empty"
    case .undecodable(let detail): "cannot be decoded: \(detail)"
    case .tooLarge(let width, let height, let pixelLimit):
      "claims \(width)×\(height) pixels, more than the limit of \(pixelLimit)"
    case .brokenArchive(let offset, let detail): "broken archive at byte \(offset): \(detail)"
    case .badLabels(let detail): "not usable as labels: \(detail)"
    case .badDescription(let detail): "not a data set description: \(detail)"
    case .tooManyBadImages(let bad, let seen, let allowedShare, let lastReason):
      "\(bad) of \(seen) images could not be used, more than the allowed share of \(allowedShare); "
        + "the last one: \(lastReason); bad-images.jsonl in the run directory lists them"
    case .noReplacement(let position, let attempts, let lastReason):
      "none of \(attempts) images from position \(position) on could be used; the last one: \(lastReason)"
    case .unwritable(let detail): "cannot be written: \(detail)"
    }
  }
}
