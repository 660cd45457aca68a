import Foundation
import Testing

@testable import DataLoading

struct ShardTests {
  private let folder: TemporaryFolder
  private let jpeg: [UInt8]
  private let png: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    jpeg = try madeUpPicture(width: 9, height: 6).encodedAsJPEG(quality: 80)
    png = try madeUpPicture(width: 8, height: 7).encodedAsPNG()
  }

  private func shard(_ first: Int, count: Int, extension suffix: String = "cls") -> [UInt8] {
    var archive = TarBuilder()
    for index in first..<(first + count) {
      archive.add("\(index).\(index % 2 == 0 ? "jpg" : "png")", index % 2 == 0 ? jpeg : png)
      archive.add("\(index).\(suffix)", Array((suffix == "cls" ? "\(index % 3)" : #"{"label": \#(index % 3)}"#).utf8))
    }
    return archive.finished
  }

  private func writeShards(extension suffix: String = "cls") throws {
    for number in 0..<3 {
      try folder.write(shard(number * 5, count: number == 2 ? 2 : 5, extension: suffix), to: "x-00\(number).tar")
    }
  }

  private func expectSamples(_ dataset: any ImageDataset) throws {
    #expect(dataset.count == 12 && dataset.shardCounts == [5, 5, 2])
    #expect((0..<12).map { dataset.label(of: $0) } == (0..<12).map { Int32($0 % 3) })
    #expect(
      (0..<12).map { dataset.name(of: $0).split(separator: "!")[1].split(separator: ".")[0] }
        == (0..<12).map { "\($0)" })
    #expect(try dataset.image(at: 3).width == 8 && dataset.image(at: 4).width == 9)
  }

  @Test(arguments: ["cls", "json"])
  func shardsAreFoundByRangeWildcardListIndexAndFolder(suffix: String) throws {
    try writeShards(extension: suffix)
    let path = folder.path
    for description in [
      path + "/x-{000..002}.tar", path + "/x-*.tar", path + "/x-00{0,1,2}.tar",
      "\(path)/x-000.tar::\(path)/x-00{1..2}.tar", path,
    ] { try expectSamples(openDataset(description)) }
    let index = """
      {"wids_version": 1, "shardlist": [{"url": "x-000.tar", "nsamples": 5}, {"url": "x-001.tar", "nsamples": 5},
       {"url": "\(path)/x-002.tar", "nsamples": 2}], "classes": ["a", "b", "c"]}
      """
    let dataset = try openDataset(folder.write(Array(index.utf8), to: "index.json"))
    try expectSamples(dataset)
    #expect(dataset.classNames == ["a", "b", "c"])
    #expect(try openDataset(path + "/x-002.tar").classNames == ["0", "1", "2"])
  }

  @Test func classesMayBeNames() throws {
    var archive = TarBuilder()
    for (key, name) in [("a", "n02"), ("b", "n01\n"), ("c", "n02")] {
      archive.add("\(key).jpg", jpeg)
      archive.add("\(key).cls", Array(name.utf8))
    }
    let dataset = try openDataset(folder.write(archive.finished, to: "named.tar"))
    #expect(dataset.classNames == ["n01", "n02"] && (0..<3).map { dataset.label(of: $0) } == [1, 0, 1])
  }

  @Test func unusableSamplesAreLeftOutWithTheReason() throws {
    var archive = TarBuilder()
    archive.add("good.jpg", jpeg)
    archive.add("good.cls", [UInt8(ascii: "1")])
    archive.add("good.png", png)
    archive.add("link.jpg", [], type: "2")
    archive.add("link.cls", [UInt8(ascii: "1")])
    archive.add("negative.jpg", jpeg)
    archive.add("negative.cls", Array("-4".utf8))
    archive.add("../outside.jpg", jpeg)
    archive.add("../outside.cls", [UInt8(ascii: "0")])
    archive.add("nothing.cls", [UInt8(ascii: "0")])
    archive.add("good.jpg", jpeg)
    archive.add("good.cls", [UInt8(ascii: "2")])
    let path = try folder.write(archive.finished, to: "a.tar")
    let dataset = try #require(openDataset(path) as? ArchivedImages)
    #expect((0..<dataset.count).map { dataset.name(of: $0) } == [path + "!good.jpg", path + "!../outside.jpg"])
    #expect(
      dataset.leftOut == [
        LeftOutMember(name: path + "!good.png", reason: "its sample has an image already"),
        LeftOutMember(name: path + "!link.jpg", reason: "it is a link"),
        LeftOutMember(name: path + "!negative.jpg", reason: "its negative.cls states no class"),
        LeftOutMember(name: path + "!good.jpg", reason: "an earlier sample has the same key"),
      ])
  }

  @Test func anIndexThatDoesNotFitIsRefused() throws {
    try writeShards()
    for (entry, reason) in [
      (#""url": "x-000.tar", "nsamples": 6"#, "5 usable samples, but its index says 6"),
      (#""url": "x-000.tar", "filesize": 5"#, "but its index says 5"),
      (#""url": "s3://bucket/x-000.tar""#, "no .tar archive on this machine"),
      (#""url": "missing.tar""#, "no such file"),
      (#""url": 3"#, "no JSON object with a"),
      (#""url": "x-000.tar", "nsamples": -1"#, "negative"),
    ] {
      let path = try folder.write(Array(#"{"shardlist": [{\#(entry)}]}"#.utf8), to: "index.json")
      let error = #expect(throws: DataError.self) { try openDataset(path) }
      #expect(error?.description.contains(reason) == true, "\(error?.description ?? "opened")")
    }
    let few = #"{"shardlist": [{"url": "x-000.tar"}], "classes": ["a", "b"]}"#
    let error = #expect(throws: DataError.self) { try openDataset(folder.write(Array(few.utf8), to: "index.json")) }
    #expect(error?.description.contains("a sample has class 2, and the index names 2 classes") == true)
  }

  @Test(arguments: ["/nowhere/x-{0..3.tar", "/nowhere/x-{3..1}.tar", "/nowhere/{a}.tar", "/nowhere/{0..9999999}.tar"])
  func shardListsThatDoNotParseAreRefused(description: String) {
    let error = #expect(throws: DataError.self) { try openDataset(description) }
    #expect(error?.description.contains("not a data set description") == true)
  }

  @Test func bracesStandForPaths() throws {
    #expect(try BraceRange.expanded("a{08..11}b") == ["a08b", "a09b", "a10b", "a11b"])
    #expect(try BraceRange.expanded("{x,y}{0..1}") == ["x0", "x1", "y0", "y1"])
    #expect(try BraceRange.expanded("plain") == ["plain"])
  }

  @Test func samplesWithoutClassesAmongOthersAreNamed() throws {
    var archive = TarBuilder()
    archive.add("a.jpg", jpeg)
    archive.add("a.cls", [UInt8(ascii: "1")])
    archive.add("b.jpg", jpeg)
    let path = try folder.write(archive.finished, to: "a.tar")
    let error = #expect(throws: DataError.self) { try openDataset(path) }
    #expect(error?.description.contains("a.tar!b.jpg: not usable as labels: this sample states no class") == true)
  }
}
