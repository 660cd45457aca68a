import Checkpointing
import DataLoading
import Foundation

/// What is known of a finished shard.
struct PackedShard: Codable, Equatable {
  /// Of what, and how: a shard of other settings is not taken for finished.
  var settings: String
  var sampleCount: Int
  var byteCount: Int
  var sha256: String
  /// How many samples each class has, by its number; empty where images have none.
  var classCounts: [Int]
  var leftOut: [LeftOutMember]
}

/// Writes one shard: usable images in the plan's order, each with its class.
struct ShardPacking {
  let dataset: any ImageDataset
  let plan: PackingPlan
  let options: PackingOptions
  let settings: String

  /// Packs the images of a shard, and says so beside it.
  /// - Returns: What is known of it; the same as before if it is finished already.
  func pack(_ number: Int, names: ShardNames) throws -> PackedShard {
    let (path, note) = (names.path(number), names.notePath(number))
    if let finished = finishedShard(path: path, note: note) { return finished }
    var shard = PackedShard(
      settings: settings, sampleCount: 0, byteCount: 0, sha256: "",
      classCounts: [Int](repeating: 0, count: dataset.classNames.count), leftOut: [])
    let writer = try TarWriter(path)
    for place in plan.shards[number] {
      let index = plan.image(at: place)
      let key = key(place: place, name: dataset.name(of: index))
      do throws(DataError) {
        let (bytes, format) = try encodedImage(index)
        try writer.add("\(key).\(format == .png ? "png" : "jpg")", bytes)
      } catch {
        // What cannot be written ends the job; what cannot be read is left out.
        if case .unwritable = error.reason { throw error }
        shard.leftOut.append(LeftOutMember(name: error.path, reason: error.reason.description))
        continue
      }
      if !dataset.classNames.isEmpty {
        let label = Int(dataset.label(of: index))
        try writer.add("\(key).cls", Array("\(label)".utf8))
        shard.classCounts[label] += 1
      }
      shard.sampleCount += 1
    }
    try writer.finish()
    shard.byteCount = writer.byteCount
    shard.sha256 = try sha256(ofFile: path)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try replaceFile(note, with: [UInt8](encoder.encode(shard)))
    return shard
  }

  /// A shard that an earlier start has finished with the same settings.
  private func finishedShard(path: String, note: String) -> PackedShard? {
    do {
      let shard = try JSONDecoder().decode(PackedShard.self, from: Data(contentsOf: URL(filePath: note)))
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      return shard.settings == settings && attributes[.size] as? Int == shard.byteCount ? shard : nil
    } catch {
      // No note, or no shard: it is packed now.
      return nil
    }
  }

  /// The image as it is stored, checked by decoding it; or made smaller.
  private func encodedImage(_ index: Int) throws(DataError) -> ([UInt8], EncodedImageHeader.Format) {
    let name = dataset.name(of: index)
    guard let dataset = dataset as? any EncodedImageDataset else {
      return (try dataset.image(at: index).encodedAsJPEG(quality: options.quality, chroma: .full), .jpeg)
    }
    let bytes = try dataset.bytes(at: index)
    let image = try PixelImage(decoding: bytes, name: name)
    if let side = options.shorterSide, min(image.width, image.height) > side {
      let size = image.size(withShorterSide: side)
      let smaller = image.resized(width: size.width, height: size.height)
      return (try smaller.encodedAsJPEG(quality: options.quality), .jpeg)
    }
    return (bytes, try EncodedImageHeader(of: bytes, name: name).format)
  }

  /// `00000017_n01440764_18`: unique by its number, and short enough for a tar header.
  private func key(place: Int, name: String) -> String {
    let file = name.split(whereSeparator: { $0 == "/" || $0 == "!" }).last ?? ""
    let stem = file.prefix { $0 != "." }
    let plain = stem.unicodeScalars.map { scalar -> Character in
      let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
      return isPlain || scalar == "-" || scalar == "_" ? Character(scalar) : "_"
    }
    let number = String(place)
    return String(repeating: "0", count: max(0, 8 - number.count)) + number + "_" + String(plain.prefix(60))
  }
}
