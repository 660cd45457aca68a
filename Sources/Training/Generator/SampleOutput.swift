import Checkpointing
import DataLoading
import Evaluation
import Foundation

/// Where drawn images go. The name decides: `….png` is one labelled sheet, `….npz` an array for evaluation suites
/// (`arr_0`, unsigned bytes, N×H×W×3), and anything else a new folder of PNG files.
final class SampleOutput {
  private enum Form {
    case sheet(columns: Int, title: String)
    case array(NumPyArchiveWriter?)
    case folder
  }

  /// A sheet of more would be larger than anybody looks at.
  static let sheetLimit = 1024

  private let path: String
  private let resolution: Int
  private let isWriter: Bool
  private let form: Form
  private var images: [PixelImage] = []

  /// Makes sure that nothing is in the way, and creates what can be created.
  /// - Parameters:
  ///   - count: Images in all.
  ///   - origin: What an array says of where its images come from; called on the writer.
  ///   - isWriter: Whether this rank makes what there is one of.
  /// - Throws: `ConfigError` if something exists already; `CheckpointError`, `RunDirectoryError` if it cannot be made.
  init(
    path: String, count: Int, resolution: Int, columns: Int, title: String, origin: () throws -> String,
    isWriter: Bool
  ) throws {
    self.path = path
    self.resolution = resolution
    self.isWriter = isWriter
    if isWriter { _ = try NewOutput(path) }
    switch (path as NSString).pathExtension.lowercased() {
    case "png":
      guard count <= Self.sheetLimit else {
        throw ConfigError(
          origin: path, problem: "\(count) images are too many for one sheet; name a folder or an .npz file")
      }
      form = .sheet(columns: max(columns, min(8, count)), title: title)
    case "npz":
      let writer = isWriter ? try NumPyArchiveWriter(path: path, comment: origin()) : nil
      try writer?.begin(NumPyImages.arrayName, shape: [count, resolution, resolution, 3])
      form = .array(writer)
    default:
      form = .folder
      if isWriter { try RunDirectory(path: path).create() }
    }
  }

  /// Whether the writer needs the images of all ranks.
  var needsAllImages: Bool { if case .folder = form { false } else { true } }

  /// Takes images of this rank; in a folder, writes them.
  /// - Parameter first: The number of the first of them among all images.
  func write(own images: [PixelImage], of samples: ArraySlice<SampleDrawing.Sample>, from first: Int) throws {
    guard case .folder = form else { return }
    for (offset, (image, sample)) in zip(images, samples).enumerated() {
      let number = String(first + offset)
      let title = sample.title.map { $0.isLetter || $0.isNumber ? $0 : "-" }
      let zeros = String(repeating: "0", count: max(0, 5 - number.count))
      try image.writePNG(to: "\(path)/\(zeros)\(number)-\(String(title)).png")
    }
  }

  /// Takes images of all ranks in order; on the writer.
  func write(pixels: [UInt8]) throws {
    guard isWriter else { return }
    switch form {
    case .sheet:
      let size = resolution * resolution * 3
      for start in stride(from: 0, to: pixels.count, by: size) {
        images.append(PixelImage(width: resolution, height: resolution, pixels: Array(pixels[start..<start + size])))
      }
    case .array(let writer): try writer?.append(pixels)
    case .folder: break
    }
  }

  /// Completes the output.
  /// - Parameter titles: What each image shows.
  func finish(titles: [String]) throws {
    guard isWriter else { return }
    switch form {
    case .sheet(let columns, let title):
      try LabelledGrid(title: title, images: images, labels: titles, columns: columns).image().writePNG(to: path)
    case .array(let writer): try writer?.finish()
    case .folder: break
    }
  }
}
