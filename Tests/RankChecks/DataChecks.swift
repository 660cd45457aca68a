import Collectives
import DataLoading
import Foundation
import Training

/// `stall PIPE`: three ranks load six batches; storage of the last rank stalls at its third image until somebody writes
/// to the named pipe. That rank prints what it waits for.
func loadFromStalledStorage(_ communicator: any Communicator, _ arguments: [String]) throws {
  try expect(arguments.count == 1, "usage: stall PIPE")
  let isStalled = communicator.rank == communicator.worldSize - 1
  let dataset = StallingImages(pipe: isStalled ? arguments[0] : nil)
  let loader = BatchLoader(
    dataset: dataset, options: LoaderOptions(batchSize: 2, views: [ViewOptions(resolution: 16)]),
    order: .sequential, rank: communicator.rank, worldSize: communicator.worldSize)
  defer { loader.stop() }
  loader.stallInterval = .milliseconds(700)
  loader.stallHandler = { stall in
    FileHandle.standardOutput.write(Data("stall: rank \(communicator.rank) \(stall)\n".utf8))
  }
  var imageCount = 0
  for step in 0..<6 {
    let batch = try communicator.collectively("reading images for step \(step)") { try loader.next() }
    imageCount += Int(try communicator.allReduce(Int64(batch.count), .sum))
  }
  try expect(imageCount == 12 * communicator.worldSize, "\(imageCount) images")
  try expect((loader.totalWait > .milliseconds(700)) == isStalled, "waited \(loader.totalWait)")
  if communicator.isFirst { print("loaded \(imageCount) images") }
}

/// Drawn images, of which one is not there before a named pipe says so.
private struct StallingImages: ImageDataset {
  let pipe: String?
  private let images = DrawnImages(count: 1000, resolution: 16)

  init(pipe: String?) { self.pipe = pipe }

  var count: Int { 1000 }
  var classNames: [String] { [] }
  func label(of index: Int) -> Int32 { 0 }
  func name(of index: Int) -> String { "/slow/storage/\(index).JPEG" }

  func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    if let pipe, index == 10 {
      let file = open(pipe, O_RDONLY)
      var byte: UInt8 = 0
      read(file, &byte, 1)
      close(file)
    }
    return images.image(at: index, resolution: 16)
  }
}

/// `order SHARDS BATCH STEPS CURSOR`: rank 0 prints the images of each step of all ranks, in their global order, and
/// how many bytes each rank has read.
func showOrder(_ communicator: any Communicator, _ arguments: [String]) throws {
  let numbers = arguments.dropFirst().compactMap { Int($0) }
  try expect(arguments.count == 4 && numbers.count == 3, "usage: order SHARDS BATCH STEPS CURSOR")
  let (globalBatch, stepCount, cursor) = (numbers[0], numbers[1], numbers[2])
  let dataset = try openDataset(arguments[0], communicator: communicator)
  let loader = BatchLoader(
    dataset: dataset,
    options: LoaderOptions(
      batchSize: globalBatch / communicator.worldSize, views: [ViewOptions(resolution: 8)], seed: 5,
      shardShuffle: ShardShuffle(lanes: globalBatch, window: 4)),
    order: .shuffled(cursor: cursor), rank: communicator.rank, worldSize: communicator.worldSize)
  defer { loader.stop() }
  for _ in 0..<stepCount {
    let batch = try communicator.collectively("reading images") { try loader.next() }
    let samples = try communicator.allGather(batch.sampleIndices.map(String.init).joined(separator: " "))
    if communicator.isFirst { print("samples: " + samples.joined(separator: " ")) }
  }
  let bytes = try communicator.allGather(Int64(loader.byteCount))
  if communicator.isFirst { print("bytes: " + bytes.map(String.init).joined(separator: " ")) }
}

/// `open DATASET`: opens a data set on all ranks; rank 0 prints how many images it has, the longest time that a rank
/// took, and the most memory that one ever had.
func openOnAllRanks(_ communicator: any Communicator, _ arguments: [String]) throws {
  try expect(arguments.count == 1, "usage: open DATASET")
  try communicator.barrier()
  let start = ContinuousClock.now
  let dataset = try openDataset(arguments[0], communicator: communicator)
  let seconds = try communicator.allGather(start.duration(to: .now) / .seconds(1)).max() ?? 0
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  let megabytes = try communicator.allGather(Int64(usage.ru_maxrss)).map { Double($0) / 1024 }.max() ?? 0
  if communicator.isFirst {
    print(String(format: "%d images; opened in %.2f s, at most %.0f MiB a rank", dataset.count, seconds, megabytes))
  }
}
