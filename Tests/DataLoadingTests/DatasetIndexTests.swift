import Foundation
import Testing

@testable import DataLoading

struct DatasetIndexTests {
  private let folder: TemporaryFolder
  private let jpeg: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    jpeg = try madeUpPicture(width: 9, height: 6).encodedAsJPEG(quality: 80)
  }

  private func writeArchive(_ name: String, images: Int) throws {
    var archive = TarBuilder()
    for index in 0..<images { archive.add("\(name)_\(index).JPEG", jpeg) }
    try folder.write(archive.finished, to: "train/\(name).tar")
  }

  private var train: String { folder.path + "/train" }

  private func index() throws -> DatasetIndex {
    let outline = try DatasetOutline(train)
    return try DatasetIndex(outline, lists: (0..<outline.partCount).map { try outline.encodedMembers(ofPart: $0) })
  }

  private func facts(_ dataset: any ImageDataset) throws -> [String] {
    try (0..<dataset.count).map {
      "\(dataset.name(of: $0)) \(dataset.label(of: $0)) \(try dataset.image(at: $0).width)"
    }
      + dataset.classNames
  }

  @Test func aStoredIndexGivesTheSameDataset() throws {
    try writeArchive("n02", images: 3)
    try writeArchive("n01", images: 2)
    let place = try #require(try index().store(labels: nil, folder: nil))
    #expect(place.hasPrefix(train + "/.mergevq-index-"))
    let stored = try #require(DatasetIndex.stored(for: train, labels: nil, folder: nil))
    #expect(try facts(stored.dataset()) == facts(openDataset(train)))
    #expect(
      try FolderListing(of: train).files == ["n01.tar", "n02.tar"], "the index is hidden, and nothing partial stays")
  }

  @Test func anIndexIsMadeAnewWhenItsArchivesChange() throws {
    try writeArchive("n01", images: 2)
    try index().store(labels: nil, folder: nil)
    #expect(DatasetIndex.stored(for: train, labels: nil, folder: nil) != nil)
    try writeArchive("n02", images: 1)
    #expect(DatasetIndex.stored(for: train, labels: nil, folder: nil) == nil, "another archive")
    try index().store(labels: nil, folder: nil)
    try writeArchive("n02", images: 2)
    #expect(DatasetIndex.stored(for: train, labels: nil, folder: nil) == nil, "another size")
    try index().store(labels: nil, folder: nil)
    var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    utimensat(AT_FDCWD, train + "/n02.tar", &times, 0)
    #expect(DatasetIndex.stored(for: train, labels: nil, folder: nil) == nil, "another time")
    try index().store(labels: nil, folder: nil)
    unlink(train + "/n02.tar")
    #expect(DatasetIndex.stored(for: train, labels: nil, folder: nil) == nil, "an archive is gone")
  }

  @Test func anIndexGoesToTheOtherFolderWhereItsOwnIsReadOnly() throws {
    try writeArchive("n01", images: 2)
    // Root may write everywhere, so a folder of the index's name stands in its way.
    let place = try #require(try index().store(labels: nil, folder: nil))
    unlink(place)
    mkdir(place, 0o755)
    let run = folder.path + "/run"
    mkdir(run, 0o755)
    #expect(try index().store(labels: nil, folder: nil) == nil)
    let other = try #require(try index().store(labels: nil, folder: run))
    #expect(other.hasPrefix(run))
    #expect(DatasetIndex.stored(for: train, labels: nil, folder: run) != nil)
  }

  @Test func labelsBelongToTheIndex() throws {
    var archive = TarBuilder()
    for number in 1...6 { archive.add("\(number).JPEG", jpeg) }
    let path = try folder.write(archive.finished, to: "val.tar")
    let list = try folder.write(Array("a\nb\na\nb\nc\na\n".utf8), to: "list.txt")
    let outline = try DatasetOutline(path, labels: list)
    try DatasetIndex(outline, lists: [outline.encodedMembers(ofPart: 0)]).store(labels: list, folder: nil)
    #expect(DatasetIndex.stored(for: path, labels: nil, folder: nil) == nil)
    let stored = try #require(DatasetIndex.stored(for: path, labels: list, folder: nil))
    #expect(try stored.dataset().classNames == ["a", "b", "c"] && stored.dataset().label(of: 4) == 2)
    try folder.write(Array("a\nb\na\nb\nc\nb\n\n".utf8), to: "list.txt")
    #expect(DatasetIndex.stored(for: path, labels: list, folder: nil) == nil, "another list")
  }

  @Test func damagedIndicesAreRefused() throws {
    try writeArchive("n01", images: 4)
    let bytes = try index().bytes
    #expect(try DatasetIndex(bytes: bytes, name: "whole").dataset().count == 4)
    for place in stride(from: 0, to: bytes.count, by: 5) {
      var damaged = bytes
      damaged[place] ^= 0x10
      #expect(throws: DataError.self, "byte \(place)") { try DatasetIndex(bytes: damaged, name: "damaged") }
    }
    for length in 0..<bytes.count where length % 3 == 0 {
      #expect(throws: DataError.self) { try DatasetIndex(bytes: Array(bytes.prefix(length)), name: "cut") }
    }
  }

  @Test func anArchiveThatChangesWhileItIsInUseIsNamed() throws {
    try writeArchive("n01", images: 2)
    let dataset = try index().dataset()
    try writeArchive("n01", images: 3)
    let error = #expect(throws: DataError.self) { try dataset.image(at: 0) }
    #expect(error?.description.contains("when it was listed") == true)
  }

  @Test func theLaterOfTwoMembersWithOneNameCounts() throws {
    var archive = TarBuilder()
    archive.add("a.JPEG", try madeUpPicture(width: 5, height: 5).encodedAsJPEG(quality: 80))
    archive.add("b.JPEG", [], type: "2")
    archive.add("a.JPEG", jpeg)
    let path = try folder.write(archive.finished, to: "twice.tar")
    let dataset = try #require(openDataset(path) as? ArchivedImages)
    #expect(try dataset.count == 1 && dataset.image(at: 0).width == 9)
    #expect(
      dataset.leftOut == [
        LeftOutMember(name: path + "!a.JPEG", reason: "a later member has the same name"),
        LeftOutMember(name: path + "!b.JPEG", reason: "it is a link"),
      ])
  }
}
