public import Collectives
import DataLoading
import Foundation

/// Counts what a data set holds: classes, formats, sizes, unusable images. Collective; the ranks share the images.
public struct DatasetStatistics: Sendable, Equatable {
  /// How many images there are.
  public var imageCount = 0
  /// How many of them were looked at.
  public var examinedCount = 0
  /// Images of each class, by its number.
  public var classCounts: [Int] = []
  /// Names of the classes.
  public var classNames: [String] = []
  /// Images of each format among the examined.
  public var formatCounts: [String: Int] = [:]
  /// Shorter and longer sides of the examined images in pixels, sorted.
  public var shorterSides: [Int] = []
  /// Likewise.
  public var longerSides: [Int] = []
  /// Bytes of the examined images as they are stored.
  public var byteCount = 0
  /// What is wrong with the examined images whose headers do not parse, and members that are not used.
  public var unusable: [String] = []

  /// Looks at the headers of a data set's images.
  /// - Parameters:
  ///   - path: Whatever `openDataset` takes.
  ///   - labels: As for `openDataset`.
  ///   - sampleCount: Looks at so many images, evenly spread; nil for all.
  ///   - communicator: The ranks that share the work.
  public init(of path: String, labels: String?, sampleCount: Int?, communicator: any Communicator) throws {
    let dataset = try openDataset(path, labels: labels, communicator: communicator)
    imageCount = dataset.count
    classNames = dataset.classNames
    classCounts = [Int](repeating: 0, count: classNames.count)
    if !classNames.isEmpty { for index in 0..<imageCount { classCounts[Int(dataset.label(of: index))] += 1 } }
    unusable = ((dataset as? ArchivedImages)?.leftOut ?? []).map { "\($0.name): \($0.reason)" }

    examinedCount = min(sampleCount ?? imageCount, imageCount)
    let own = evenShare(of: examinedCount, rank: communicator.rank, worldSize: communicator.worldSize)
    let share = try communicator.collectively("looking at the images of \(path)") {
      let share = own.map { Self.examine(dataset, $0 * imageCount / examinedCount) }
      return [UInt8](try JSONEncoder().encode(share))
    }
    let all = try communicator.allGather(bytes: share)
    let images = try communicator.collectively("counting the images of \(path)") {
      try all.flatMap { try JSONDecoder().decode([Image].self, from: Data($0)) }
    }
    for image in images {
      byteCount += image.byteCount
      if let problem = image.problem {
        unusable.append(problem)
      } else {
        formatCounts[image.format, default: 0] += 1
        shorterSides.append(min(image.width, image.height))
        longerSides.append(max(image.width, image.height))
      }
    }
    shorterSides.sort()
    longerSides.sort()
  }

  private struct Image: Codable {
    var width = 0
    var height = 0
    var byteCount = 0
    var format = ""
    var problem: String?
  }

  private static func examine(_ dataset: any ImageDataset, _ index: Int) -> Image {
    var image = Image()
    do throws(DataError) {
      if let encoded = dataset as? any EncodedImageDataset {
        let bytes = try encoded.bytes(at: index)
        image.byteCount = bytes.count
        let header = try EncodedImageHeader(of: bytes, name: dataset.name(of: index))
        (image.width, image.height, image.format) = (header.width, header.height, header.format.rawValue)
      } else {
        let picture = try dataset.image(at: index)
        (image.width, image.height, image.format) = (picture.width, picture.height, "drawn")
      }
    } catch {
      image.problem = error.description
    }
    return image
  }

  /// In lines for people.
  public var text: String {
    var lines = ["images          \(imageCount)"]
    if examinedCount < imageCount { lines.append("examined        \(examinedCount), evenly spread") }
    if let fewest = classCounts.min(), let most = classCounts.max() {
      let median = classCounts.sorted()[classCounts.count / 2]
      lines.append("classes         \(classCounts.count), images of a class: \(fewest) to \(most), median \(median)")
      for (name, count) in zip(classNames, classCounts) where count < median / 2 {
        lines.append("  few images    \(name): \(count)")
      }
    } else {
      lines.append("classes         none")
    }
    for (format, count) in formatCounts.sorted(by: { $0.key < $1.key }) {
      lines.append("\(format.padding(toLength: 16, withPad: " ", startingAt: 0))\(count)")
    }
    lines.append("shorter side    " + Self.spread(shorterSides))
    lines.append("longer side     " + Self.spread(longerSides))
    if byteCount > 0, examinedCount > 0 {
      lines.append("bytes           \(byteCount), \(byteCount / examinedCount) an image")
    }
    lines.append("unusable        \(unusable.count)")
    lines += unusable.prefix(20).map { "  " + $0 }
    if unusable.count > 20 { lines.append("  and \(unusable.count - 20) more") }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func spread(_ sorted: [Int]) -> String {
    guard let first = sorted.first, let last = sorted.last else { return "unknown" }
    return "\(first) to \(last) pixels, median \(sorted[sorted.count / 2])"
  }
}
