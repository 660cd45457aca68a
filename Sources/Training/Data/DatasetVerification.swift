import Checkpointing
public import Collectives
import DataLoading
import Foundation

/// Checks files of images against all that is known of them: sizes and checksums, the structure of archives, counts,
/// classes, and, if asked, every single image. Collective; the ranks share the work.
public struct DatasetVerification {
  private let communicator: any Communicator
  private let decodesImages: Bool
  private let labels: String?

  /// - Parameters:
  ///   - labels: As for `openDataset`.
  ///   - decodesImages: Whether every image is decoded.
  ///   - communicator: The ranks that share the work.
  public init(labels: String? = nil, decodesImages: Bool = false, communicator: any Communicator) {
    self.communicator = communicator
    self.decodesImages = decodesImages
    self.labels = labels
  }

  /// What was found.
  public struct Finding: Sendable, Equatable {
    /// Whether it is as it should be.
    public var isGood: Bool
    /// In one line.
    public var text: String
  }

  /// Examines a data set or a file.
  /// - Returns: The same findings on every rank, good ones included.
  public func findings(_ path: String) throws -> [Finding] {
    if let official = ImageNetFile.named(path) {
      let found = try checkOfficial(official, path: path)
      // What is inside a file that is not the right one says little.
      if official.imageCount == nil || found.contains(where: { !$0.isGood }) { return found }
      return try found + checkContent(path, official: official)
    }
    return try checkContent(path, official: nil)
  }

  private func checkOfficial(_ official: ImageNetFile, path: String) throws -> [Finding] {
    let (size, sum) = try communicator.collectively("reading \(path)") {
      guard communicator.isFirst else { return (0, "") }
      let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
      // A file of another length needs no checksum.
      return (size, size == official.byteCount ? try md5(ofFile: path) : "")
    }
    let foundSize = Int(try communicator.broadcast(Int64(size)))
    let foundSum = try communicator.broadcast(sum)
    guard foundSize == official.byteCount else {
      return [
        Finding(
          isGood: false,
          text: "\(path): \(foundSize) bytes, but \(official.name) has \(official.byteCount); download it again")
      ]
    }
    return [
      foundSum == official.md5
        ? Finding(isGood: true, text: "\(path): MD5 is \(official.md5), as it should be")
        : Finding(isGood: false, text: "\(path): MD5 is \(foundSum), but should be \(official.md5); download it again")
    ]
  }

  private func checkContent(_ path: String, official: ImageNetFile?) throws -> [Finding] {
    let bytes = try communicator.collectively("opening \(path)") {
      communicator.isFirst ? try DatasetOutline(path, labels: labels).encoded() : []
    }
    let outline = try DatasetOutline(encoded: communicator.broadcast(bytes), name: path)
    var findings = try checkShards(outline)
    if findings.contains(where: { !$0.isGood }) { return findings }
    // Not from a stored index: every header is read again.
    let dataset = try openDataset(path, labels: labels, usesStoredIndex: false, communicator: communicator)
    let classCount = dataset.classNames.count
    findings.append(Finding(isGood: true, text: "\(path): \(dataset.count) images, \(classCount) classes"))
    if let count = official?.imageCount, dataset.count != count {
      findings.append(Finding(isGood: false, text: "\(path): there should be \(count) images"))
    }
    if let count = official?.classCount, classCount != count {
      findings.append(Finding(isGood: false, text: "\(path): there should be \(count) classes"))
    }
    for member in (dataset as? ArchivedImages)?.leftOut ?? [] {
      findings.append(Finding(isGood: false, text: "\(member.name): \(member.reason)"))
    }
    if decodesImages { findings += try checkImages(of: dataset) }
    return findings
  }

  /// Compares each shard's bytes with its index.
  private func checkShards(_ outline: DatasetOutline) throws -> [Finding] {
    let shards = (outline.shardIndex?.shards ?? []).filter { $0.sha256 != nil }
    return try shared(count: shards.count, activity: "reading the shards") { index in
      let found = try sha256(ofFile: shards[index].path)
      let expected = shards[index].sha256 ?? ""
      return found == expected
        ? Finding(isGood: true, text: "\(shards[index].path): SHA-256 is as its index says")
        : Finding(isGood: false, text: "\(shards[index].path): SHA-256 is \(found), but its index says \(expected)")
    }
  }

  private func checkImages(of dataset: any ImageDataset) throws -> [Finding] {
    let unusable = try shared(count: dataset.count, activity: "decoding the images") { index in
      do throws(DataError) {
        _ = try dataset.image(at: index)
        return nil
      } catch {
        return Finding(isGood: false, text: error.description)
      }
    }
    return unusable
      + [Finding(isGood: true, text: "\(dataset.count - unusable.count) of \(dataset.count) images can be decoded")]
  }

  /// Examines some things on every rank; all ranks get all findings, in the order of the things.
  private func shared(
    count: Int, activity: String, _ examine: (Int) throws -> Finding?
  ) throws -> [Finding] {
    let own = try communicator.collectively(activity) {
      try evenShare(of: count, rank: communicator.rank, worldSize: communicator.worldSize).compactMap(examine)
    }
    let lines = own.map { ($0.isGood ? "+" : "-") + $0.text.replacing("\n", with: " ") }.joined(separator: "\n")
    return try communicator.allGather(lines).flatMap { $0.split(separator: "\n") }.map {
      Finding(isGood: $0.hasPrefix("+"), text: String($0.dropFirst()))
    }
  }
}
