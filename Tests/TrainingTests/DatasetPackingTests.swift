import Collectives
import DataLoading
import Foundation
import Testing

@testable import Training

struct DatasetPackingTests {
  private func files(_ folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasPrefix(".mergevq") }
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(filePath: folder + "/" + $0))) })
  }

  @Test func shardsDependOnTheInputAndNotOnTheRanks() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01", "n02", "n03"], perClass: 10)
      for worldSize in [1, 2, 4] {
        let summary = try pack(folder + "/images", into: "\(folder)/packed\(worldSize)", worldSize: worldSize)
        #expect(summary.shardCount == 3 && summary.sampleCount == 30 && summary.leftOutCount == 0)
      }
      let one = try files(folder + "/packed1")
      #expect(one.keys.sorted() == ["x-0.tar", "x-1.tar", "x-2.tar", "x-index.json"])
      #expect(try files(folder + "/packed2") == one && files(folder + "/packed4") == one)
      try pack(folder + "/images", into: folder + "/other", worldSize: 1) { $0.seed = 1 }
      #expect(try files(folder + "/other")["x-0.tar"] != one["x-0.tar"])
    }
  }

  @Test func everyImageComesBackWithItsClass() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01", "n02", "n03"], perClass: 7)
      try pack(folder + "/images", into: folder + "/packed", worldSize: 2)
      let original = try DataLoading.openDataset(folder + "/images")
      for description in [folder + "/packed", folder + "/packed/x-index.json"] {
        let packed = try DataLoading.openDataset(description)
        #expect(packed.count == 21 && packed.classNames == original.classNames)
        func contents(_ dataset: any ImageDataset) throws -> [String] {
          try (0..<dataset.count).map { "\(dataset.label(of: $0)) \(try dataset.image(at: $0).pixels.hashValue)" }
            .sorted()
        }
        #expect(try contents(packed) == contents(original))
      }
      try pack(folder + "/images", into: folder + "/ordered", worldSize: 1) { $0.seed = nil }
      let ordered = try DataLoading.openDataset(folder + "/ordered")
      #expect((0..<21).map { ordered.label(of: $0) } == (0..<21).map { Int32($0 / 7) })
    }
  }

  @Test func unusableImagesAreLeftOutAndListed() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01", "n02"], perClass: 5)
      try Data().write(to: URL(filePath: folder + "/images/n01/empty.JPEG"))
      try Data("no image".utf8).write(to: URL(filePath: folder + "/images/n02/text.JPEG"))
      let summary = try pack(folder + "/images", into: folder + "/packed", worldSize: 2)
      #expect(summary.sampleCount == 10 && summary.leftOutCount == 2)
      let index = String(decoding: try Data(contentsOf: URL(filePath: folder + "/packed/x-index.json")), as: UTF8.self)
      #expect(index.contains("n01/empty.JPEG\"") && index.contains("\"reason\" : \"the file is empty\""))
      #expect(index.contains("n02/text.JPEG\"") && index.contains("neither JPEG nor PNG"))
      #expect(try DataLoading.openDataset(folder + "/packed").count == 10)
    }
  }

  @Test func anInterruptedPackingGoesOnWithWhatIsMissing() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01", "n02", "n03"], perClass: 10)
      try pack(folder + "/images", into: folder + "/whole", worldSize: 1)
      let packed = folder + "/packed"
      // A folder in the place of the third shard stops the first attempt.
      try FileManager.default.createDirectory(atPath: packed + "/x-2.tar.partial", withIntermediateDirectories: true)
      let error = #expect(throws: PeerFailure.self) { try pack(folder + "/images", into: packed, worldSize: 1) }
      #expect(error?.exitStatus == 65 && error?.description.contains("x-2.tar.partial: cannot be written") == true)
      let first = URL(filePath: packed + "/x-0.tar")
      let time = try FileManager.default.attributesOfItem(atPath: first.path)[.modificationDate] as? Date
      let inode = try FileManager.default.attributesOfItem(atPath: first.path)[.systemFileNumber] as? Int
      try FileManager.default.removeItem(atPath: packed + "/x-2.tar.partial")
      try pack(folder + "/images", into: packed, worldSize: 2)
      #expect(try FileManager.default.attributesOfItem(atPath: first.path)[.modificationDate] as? Date == time)
      #expect(try FileManager.default.attributesOfItem(atPath: first.path)[.systemFileNumber] as? Int == inode)
      #expect(try files(packed) == files(folder + "/whole"))
    }
  }

  @Test func otherSettingsPackAnew() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01", "n02"], perClass: 12)
      let packed = folder + "/packed"
      try FileManager.default.createDirectory(atPath: packed + "/x-1.tar.partial", withIntermediateDirectories: true)
      #expect(throws: PeerFailure.self) { try pack(folder + "/images", into: packed, worldSize: 1) }
      try FileManager.default.removeItem(atPath: packed + "/x-1.tar.partial")
      try pack(folder + "/images", into: packed, worldSize: 1) { $0.shorterSide = 12 }
      let dataset = try DataLoading.openDataset(packed)
      #expect(try dataset.count == 24 && (0..<24).allSatisfy { try dataset.image(at: $0).width == 12 })
    }
  }

  @Test func shardsHoldAsManyBytesAsAllowed() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01"], perClass: 20)
      let limit = 16_384
      let summary = try pack(folder + "/images", into: folder + "/packed", worldSize: 3) { $0.limit = .bytes(limit) }
      #expect(summary.shardCount > 2 && summary.sampleCount == 20)
      for (name, data) in try files(folder + "/packed") where name.hasSuffix(".tar") {
        #expect(data.count <= limit + 1024)
      }
    }
  }

  @Test func settingsThatMakeNoSenseAreRefused() throws {
    for pattern in ["x.tar", "x-%d", "x-%6d.tar", "x-%d-%d.tar", "x-%0x.tar", "x-%099d.tar"] {
      #expect(throws: ConfigError.self, "\(pattern)") { try ShardNames(pattern: pattern) }
    }
    let names = try ShardNames(pattern: "a/train-%06d.tar")
    #expect(names.path(17) == "a/train-000017.tar" && names.indexPath == "a/train-index.json" && names.folder == "a")
    for change in [
      { $0.limit = .images(0) }, { $0.limit = .bytes(-1) }, { $0.quality = 101 }, { $0.shorterSide = 0 },
    ] as [(inout PackingOptions) -> Void] {
      var options = PackingOptions()
      change(&options)
      #expect(throws: ConfigError.self) { try options.validate() }
    }
  }

  @Test func verificationFindsWhatIsWrong() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder + "/images", classes: ["n01", "n02"], perClass: 6)
      try pack(folder + "/images", into: folder, worldSize: 1)
      let verify = { (path: String, decodes: Bool) in
        try LoopbackWorld.run(worldSize: 2) {
          try DatasetVerification(decodesImages: decodes, communicator: $0).findings(path)
        }
      }
      let good = try verify(folder + "/x-index.json", true)
      #expect(good[0] == good[1] && good[0].allSatisfy(\.isGood))
      #expect(good[0].map(\.text).contains { $0.hasSuffix("12 images, 2 classes") })
      #expect(good[0].last?.text == "12 of 12 images can be decoded")

      let shard = URL(filePath: folder + "/x-0.tar")
      var bytes = [UInt8](try Data(contentsOf: shard))
      bytes[700] ^= 1
      try Data(bytes).write(to: shard)
      let bad = try verify(folder + "/x-index.json", false)[1]
      #expect(bad.count == 1 && !bad[0].isGood && bad[0].text.contains("x-0.tar: SHA-256 is "))

      try Data([1, 2, 3]).write(to: URL(filePath: folder + "/images/n01/bad.JPEG"))
      let images = try verify(folder + "/images", true)[0]
      #expect(
        images.filter { !$0.isGood }.map(\.text) == [
          "\(folder)/images/n01/bad.JPEG: cannot be decoded: neither JPEG nor PNG"
        ])
      #expect(images.last?.text == "12 of 13 images can be decoded")

      let official = folder + "/ILSVRC2012_img_val.tar"
      try Data(bytes).write(to: URL(filePath: official))
      let size = try verify(official, false)[0]
      #expect(size.count == 1 && size[0].text.contains("but ILSVRC2012_img_val.tar has 6744924160; download it again"))
    }
  }

  @Test func md5IsThatOfTheStandardTool() throws {
    try withTemporaryFolder { folder in
      try Data("hello\n".utf8).write(to: URL(filePath: folder + "/a"))
      #expect(try md5(ofFile: folder + "/a") == "b1946ac92492d2347c6235b4d2611184")
    }
  }

  @Test func statisticsCountWhatIsThere() throws {
    try withTemporaryFolder { folder in
      try writeClassFolders(folder, classes: ["n01", "n02"], perClass: 5)
      try Data(DrawnImages(count: 1).image(at: 0, resolution: 40).encodedAsPNG())
        .write(to: URL(filePath: folder + "/n02/png.JPEG"))
      try Data().write(to: URL(filePath: folder + "/n01/empty.JPEG"))
      let found = try LoopbackWorld.run(worldSize: 3) {
        try DatasetStatistics(of: folder, labels: nil, sampleCount: nil, communicator: $0)
      }
      #expect(found[0] == found[1] && found[0] == found[2])
      #expect(found[0].imageCount == 12 && found[0].classCounts == [6, 6])
      #expect(found[0].formatCounts == ["JPEG": 10, "PNG": 1] && found[0].shorterSides.last == 40)
      #expect(found[0].unusable == ["\(folder)/n01/empty.JPEG: the file is empty"])
      #expect(found[0].text.contains("classes         2, images of a class: 6 to 6, median 6"))
      let some = try LoopbackWorld.run(worldSize: 2) {
        try DatasetStatistics(of: folder, labels: nil, sampleCount: 4, communicator: $0)
      }
      #expect(some[0].examinedCount == 4 && some[0].shorterSides.count + some[0].unusable.count == 4)
    }
  }

  @Test func theGridShowsWhatTheLoaderGives() throws {
    var recipe = TokenizerRecipe()
    recipe.model.resolution = 32
    recipe.run.steps = 1
    let images = DrawnImages(count: 5, resolution: 48)
    let picture = try ViewGrid(recipe: recipe, dataset: images).picture(imageCount: 2, epochCount: 3)
    // Two rows of the image and three epochs, each tile at least 96 pixels wide.
    #expect(picture.width > 4 * 96 && picture.height > 2 * 96)
    let options = loaderOptions(recipe, batchSize: 1, isTraining: true)
    let loader = BatchLoader(dataset: images, options: options, order: .shuffled(cursor: 0))
    let batch = try loader.next()
    let sample = batch.sampleIndices[0]
    let shown = options.picture(of: try images.image(at: sample), view: 0, sample: sample, epoch: 0)
    #expect(shown.pixels.map { Float($0) / 127.5 - 1 }.elementsEqual(batch.pixels) { abs($0 - $1) < 1e-6 })
  }
}
