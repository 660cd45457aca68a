import DataLoading
import Foundation
import Kernels

/// Going once through a folder of photographs with loader threads: decode, resize the shorter side to 256, crop 224,
/// normalise. Options: `--images FOLDER` (`$MERGEVQ_TEST_DATA/imagenet-sample`), `--threads`, `--part` (`views`, or
/// `decode` for reading and decoding alone, on one thread), `--scaled yes` (JPEGs may be decoded at a fraction of their size).
///
/// Every image is read once before, so that storage is not measured.
func loader(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let folder = ProcessInfo.processInfo.environment["MERGEVQ_TEST_DATA"] ?? "../shared/data"
  let path = options.text("images") ?? folder + "/imagenet-sample"
  let dataset = try openDataset(path)
  guard let encoded = dataset as? any EncodedImageDataset else {
    throw Benchmarks.UsageError("--images: '\(path)' holds no encoded images")
  }
  switch options.text("part") ?? "views" {
  case "decode":
    return { for index in 0..<encoded.count { _ = try encoded.image(at: index) } }
  case "views":
    for index in 0..<encoded.count { _ = try encoded.bytes(at: index) }
    let view = ViewOptions(
      resolution: 224, shorterSide: 256, crop: .center, horizontalFlip: false, normalization: .imageNet)
    let loaderOptions = LoaderOptions(
      batchSize: try options.integer("batch", default: 40), views: [view],
      threadCount: try options.integer("threads", default: Threads.affinityCount),
      allowsScaledDecoding: options.text("scaled") == "yes")
    return {
      let loader = BatchLoader(dataset: dataset, options: loaderOptions, order: .sequential)
      defer { loader.stop() }
      for _ in 0..<(loader.stepCount ?? 0) { _ = try loader.next() }
    }
  case let part: throw Benchmarks.UsageError("--part: there is no part '\(part)'")
  }
}

/// The index of a data set of ImageNet's size: `--count` images (1,281,167) in 1000 class archives that are made in
/// `--folder` first, each image of no bytes. One repetition lists all of them; prints what the index takes, and how
/// long it takes to open the data set from it.
func imageIndex(_ options: Benchmarks.Options) throws -> () throws -> Void {
  let count = try options.integer("count", default: 1_281_167)
  let folder = options.text("folder") ?? NSTemporaryDirectory() + "mergevq-index-benchmark"
  try writeClassArchives(imageCount: count, folder: folder)
  return {
    let outline = try DatasetOutline(folder)
    let index = try DatasetIndex(outline, lists: (0..<outline.partCount).map { try outline.encodedMembers(ofPart: $0) })
    index.store(labels: nil, folder: nil)
    let clock = ContinuousClock()
    let opening = try clock.measure {
      guard let stored = DatasetIndex.stored(for: folder, labels: nil, folder: nil) else {
        throw Benchmarks.UsageError("--folder: the index cannot be stored in '\(folder)'")
      }
      let found = try stored.dataset().count
      guard found == count else { throw Benchmarks.UsageError("--folder: \(found) images in '\(folder)'") }
    }
    print("index of \(index.bytes.count) bytes; opened from it in \(opening)")
  }
}

/// A thousand archives of empty images; those of an earlier run are taken as they are.
private func writeClassArchives(imageCount: Int, folder: String) throws {
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  for number in 0..<1000 {
    let digits = String(number + 1_000_001).dropFirst()
    let path = "\(folder)/n0\(digits).tar"
    if FileManager.default.fileExists(atPath: path) { continue }
    let archive = try TarWriter(path)
    for image in (imageCount * number / 1000)..<(imageCount * (number + 1) / 1000) {
      try archive.add("n0\(digits)_\(image).JPEG", [])
    }
    try archive.finish()
  }
}

/// Writes `--count` (400) drawn pictures of 500×500 pixels as JPEG files into class folders of `--folder`: photographs
/// for the benchmark `loader` where there are none.
func drawPhotographs(_ options: Benchmarks.Options) throws {
  guard let folder = options.text("folder") else { throw Benchmarks.UsageError("--folder: where to?") }
  let images = DrawnImages(count: try options.integer("count", default: 400), resolution: 500)
  try options.requireNothingUnread()
  for index in 0..<images.count {
    let path = "\(folder)/\(images.kind(of: index).rawValue)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let bytes = try images.image(at: index, resolution: images.resolution).encodedAsJPEG(quality: 90)
    try Data(bytes).write(to: URL(filePath: "\(path)/\(index).jpg"))
  }
}
