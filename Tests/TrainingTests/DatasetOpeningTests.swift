import Collectives
import DataLoading
import Foundation
import Testing

@testable import Training

/// Pictures in class folders, as a data set to work with.
func writeClassFolders(_ folder: String, classes: [String], perClass: Int) throws {
  for (number, name) in classes.enumerated() {
    try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
    for index in 0..<perClass {
      let picture = DrawnImages(count: 1000, resolution: 24).image(at: number * perClass + index, resolution: 24)
      let bytes = try picture.encodedAsJPEG(quality: 90)
      try Data(bytes).write(to: URL(filePath: "\(folder)/\(name)/\(name)_\(index).JPEG"))
    }
  }
}

struct DatasetOpeningTests {
  private func facts(_ dataset: any ImageDataset) -> [String] {
    (0..<dataset.count).map { "\(dataset.name(of: $0)) \(dataset.label(of: $0))" } + dataset.classNames
  }

  @Test(arguments: [1, 2, 3, 8])
  func allRanksOpenWhatOneWouldOpen(worldSize: Int) throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n03", "n01", "n02"], perClass: 4)
      let expected = facts(try DataLoading.openDataset(folder + "/images"))
      let found = try LoopbackWorld.run(worldSize: worldSize) { communicator in
        facts(try openDataset(folder + "/images", communicator: communicator))
      }
      #expect(found == Array(repeating: expected, count: worldSize))
    }
  }

  @Test func shardsAreListedOnceAndThenReadFromTheIndex() throws {
    try withTemporaryFolder { folder in
      try pack("drawn:30,resolution=16", into: folder, worldSize: 2)
      let pattern = folder + "/x-{0..2}.tar"
      let first = try LoopbackWorld.run(worldSize: 3) { facts(try openDataset(pattern, communicator: $0)) }
      let hidden = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
        $0.hasPrefix(".mergevq-index-")
      }
      #expect(hidden.count == 1 && first[0].count == 42 && Set(first).count == 1)
      // Only the index can know the images now: the archives keep size and time, but not their content.
      for number in 0..<3 { try blank("\(folder)/x-\(number).tar") }
      let second = try LoopbackWorld.run(worldSize: 2) { facts(try openDataset(pattern, communicator: $0)) }
      #expect(second[0] == first[0])
      #expect(throws: (any Error).self) {
        try LoopbackWorld.run(worldSize: 1) {
          facts(try openDataset(pattern, usesStoredIndex: false, communicator: $0))
        }
      }
    }
  }

  /// Overwrites a file with rubbish of the same length and time.
  private func blank(_ path: String) throws {
    let before = try FileManager.default.attributesOfItem(atPath: path)
    var status = stat()
    stat(path, &status)
    let file = try FileHandle(forWritingTo: URL(filePath: path))
    try file.write(contentsOf: [UInt8](repeating: 7, count: before[.size] as? Int ?? 0))
    try file.close()
    var times = [status.st_atim, status.st_mtim]
    utimensat(AT_FDCWD, path, &times, 0)
  }

  @Test func aBrokenPartIsToldByTheRankThatReadIt() throws {
    try withTemporaryFolder { folder in
      try pack("drawn:30,resolution=16", into: folder, worldSize: 1)
      try Data([UInt8](repeating: 7, count: 2048)).write(to: URL(filePath: folder + "/x-1.tar"))
      let error = #expect(throws: PeerFailure.self) {
        try LoopbackWorld.run(worldSize: 2) {
          try openDataset(folder + "/x-{0..2}.tar", communicator: $0).count
        }
      }
      #expect(error?.description.contains("x-1.tar: broken archive at byte 0") == true)
      #expect(error?.failures.map(\.rank) == [1] && error?.exitStatus == 65)
    }
  }

  @Test func validationClassesAreNumberedAsInTraining() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/val", classes: ["n03", "n01"], perClass: 2)
      let open = { (classes: [String]) in
        try LoopbackWorld.run(worldSize: 1) { communicator in
          let dataset = try openDataset(
            folder + "/val", key: "data.validation", classNames: classes, communicator: communicator)
          return (0..<dataset.count).map { dataset.label(of: $0) }
        }[0]
      }
      #expect(try open(["n01", "n02", "n03"]) == [0, 0, 2, 2])
      #expect(try open([]) == [0, 0, 1, 1])
      let error = #expect(throws: ConfigError.self) { try open(["n01", "n02"]) }
      #expect(error?.description.contains("has the class 'n03', which the training images lack") == true)
    }
  }
}

/// Packs into `folder/x-N.tar`, twelve images a shard unless told otherwise.
@discardableResult
func pack(
  _ input: String, into folder: String, worldSize: Int,
  _ change: @Sendable @escaping (inout PackingOptions) -> Void = { _ in }
) throws -> DatasetPacking.Summary {
  try LoopbackWorld.run(worldSize: worldSize) { communicator in
    var options = PackingOptions()
    options.limit = .images(12)
    change(&options)
    let names = try ShardNames(pattern: folder + "/x-%d.tar")
    return try DatasetPacking(input: input, labels: nil, names: names, options: options, communicator: communicator)
      .run { _, _ in }
  }[0]
}
