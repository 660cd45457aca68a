import Foundation
import Synchronization
import Testing

@testable import DataLoading

/// Storage that does not answer for a while.
@Suite(.timeLimit(.minutes(10)))
struct StallTests {
  /// Every image is read from a named pipe: the system call waits until somebody writes.
  private struct PipedImages: EncodedImageDataset {
    let path: String
    let count = 1
    var classNames: [String] { [] }
    func label(of index: Int) -> Int32 { 0 }
    func name(of index: Int) -> String { "\(path)!\(index)" }
    func byteCount(at index: Int) -> Int { 0 }
    func bytes(at index: Int) throws(DataError) -> [UInt8] {
      let pipe = open(path, O_RDONLY)
      defer { close(pipe) }
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4_096)
      while true {
        let count = read(pipe, &buffer, buffer.count)
        if count <= 0 { return bytes }
        bytes += buffer.prefix(count)
      }
    }
  }

  @Test func aStalledReadIsReportedAndThenTheBatchComes() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/pipe"
    try #require(mkfifo(path, 0o600) == 0)
    let jpeg = try madeUpPicture(width: 12, height: 9).encodedAsJPEG(quality: 80)
    let loader = BatchLoader(
      dataset: PipedImages(path: path),
      options: LoaderOptions(batchSize: 1, views: [ViewOptions(resolution: 6)], prefetchCount: 1),
      order: .shuffled(cursor: 0))
    var stalls: [DataStall] = []
    loader.stallInterval = .milliseconds(60)
    loader.stallHandler = { stall in
      stalls.append(stall)
      // Storage comes back after the third complaint.
      if stalls.count == 3 {
        Thread {
          let pipe = open(path, O_WRONLY)
          _ = jpeg.withUnsafeBytes { write(pipe, $0.baseAddress, $0.count) }
          close(pipe)
        }.start()
      }
    }
    let batch = try loader.next()
    #expect(batch.count == 1 && stalls.count >= 3)
    #expect(loader.lastWait >= .milliseconds(150) && loader.byteCount == jpeg.count)
    #expect(stalls[0].work.map(\.name) == ["\(path)!\(batch.sampleIndices[0])"])
    #expect(stalls[2].waited > stalls[0].waited)
    #expect(stalls[2].description.hasPrefix("has waited 0.") && stalls[2].description.contains("; reading \(path)!"))
    // The next read waits as well: let it end, so that the loader can stop.
    Thread {
      let pipe = open(path, O_WRONLY)
      close(pipe)
    }.start()
    loader.stop()
  }

  @Test func bytesAreCountedWhenBatchesAreTaken() throws {
    let folder = try TemporaryFolder()
    var total = 0
    for index in 0..<6 {
      let jpeg = try madeUpPicture(width: 20 + index, height: 16, seed: index).encodedAsJPEG(quality: 90)
      total += jpeg.count
      try folder.write(jpeg, to: "n01/\(index).JPEG")
    }
    let dataset = try openDataset(folder.path)
    let counts = try (0..<2).map { rank in
      let loader = BatchLoader(
        dataset: dataset, options: LoaderOptions(batchSize: 3, views: [ViewOptions(resolution: 6)]),
        order: .sequential, rank: rank, worldSize: 2)
      _ = try loader.next()
      return loader.byteCount
    }
    #expect(counts[0] + counts[1] == total && counts.allSatisfy { $0 > total / 3 })
  }
}
