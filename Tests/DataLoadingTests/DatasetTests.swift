import DataLoading
import Foundation
import Testing

struct DatasetTests {
  private let folder: TemporaryFolder
  private let jpeg: [UInt8]
  private let png: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    jpeg = try madeUpPicture(width: 9, height: 6).encodedAsJPEG(quality: 80)
    png = try madeUpPicture(width: 8, height: 7).encodedAsPNG()
  }

  private func classArchive(_ name: String, images: Int) -> [UInt8] {
    var archive = TarBuilder()
    for index in (0..<images).reversed() { archive.add("\(name)_\(index).JPEG", index == 0 ? png : jpeg) }
    return archive.finished
  }

  private func labels(of dataset: any ImageDataset) -> [Int32] { (0..<dataset.count).map { dataset.label(of: $0) } }
  private func names(of dataset: any ImageDataset) -> [String] {
    (0..<dataset.count).map { dataset.name(of: $0).replacingOccurrences(of: folder.path, with: "") }
  }

  @Test func classFoldersAreClassesInTheOrderOfTheirNames() throws {
    try folder.write(jpeg, to: "n02/b.JPEG")
    try folder.write(png, to: "n02/a.jpg")  // a PNG named JPEG
    try folder.write(jpeg, to: "n01/x.jpeg")
    try folder.write([1], to: "n01/notes.txt")
    try folder.write([1], to: "n01/.hidden.jpg")
    try folder.write(png, to: "n10/images/z.PNG")
    try folder.write([1], to: "empty/readme.md")
    let dataset = try openDataset(folder.path + "/")
    #expect(dataset.classNames == ["n01", "n02", "n10"])
    #expect(names(of: dataset) == ["/n01/x.jpeg", "/n02/a.jpg", "/n02/b.JPEG", "/n10/images/z.PNG"])
    #expect(labels(of: dataset) == [0, 1, 1, 2])
    #expect(try dataset.image(at: 1) == madeUpPicture(width: 8, height: 7))
    #expect(try dataset.image(at: 2).width == 9)
  }

  @Test func aFolderOfClassArchivesIsReadInPlace() throws {
    try folder.write(classArchive("n02", images: 2), to: "n02.tar")
    try folder.write(classArchive("n01", images: 3), to: "n01.tar")
    let dataset = try openDataset(folder.path)
    #expect(dataset.classNames == ["n01", "n02"])
    #expect(labels(of: dataset) == [0, 0, 0, 1, 1])
    #expect(names(of: dataset)[3...] == ["/n02.tar!n02_0.JPEG", "/n02.tar!n02_1.JPEG"])
    #expect(try dataset.image(at: 3) == madeUpPicture(width: 8, height: 7))
    #expect(try dataset.image(at: 4).width == 9)
  }

  @Test func anArchiveOfClassArchivesIsReadInPlace() throws {
    var outer = TarBuilder()
    outer.add("n02.tar", classArchive("n02", images: 1))
    outer.add("n01.tar", classArchive("n01", images: 2))
    let path = try folder.write(outer.finished, to: "train.tar")
    let dataset = try openDataset(path)
    #expect(dataset.classNames == ["n01", "n02"])
    #expect(names(of: dataset)[2] == "/train.tar!n02.tar!n02_0.JPEG")
    #expect(labels(of: dataset) == [0, 0, 1])
    #expect(try dataset.image(at: 2) == madeUpPicture(width: 8, height: 7))
    #expect(try (dataset as? any EncodedImageDataset)?.bytes(at: 1) == jpeg)
  }

  @Test func imagesWithoutClassesAreFoundInFoldersArchivesAndAlone() throws {
    try folder.write(png, to: "plain/b.png")
    let single = try folder.write(jpeg, to: "plain/a.jpg")
    let archive = try folder.write(classArchive("val", images: 2), to: "val.tar")
    for (place, count) in [(folder.path + "/plain", 2), (single, 1), (archive, 2)] {
      let dataset = try openDataset(place)
      #expect(dataset.count == count && dataset.classNames.isEmpty && labels(of: dataset).allSatisfy { $0 == 0 })
      #expect(try dataset.image(at: count - 1).width > 0)
    }
  }

  @Test func drawnImagesAreADatasetToo() throws {
    let dataset = try openDataset("drawn:7,resolution=16")
    #expect(try dataset.count == 7 && dataset.image(at: 6).width == 16)
  }

  @Test func aPlaceWithoutImagesSaysWhatWasLookedFor() throws {
    let missing = folder.path + "/missing"
    #expect(throws: DataError(path: missing, reason: .missing)) { try openDataset(missing) }
    #expect(reason(folder.path).contains("the folder is empty"))
    try folder.write([1], to: "sub/readme.txt")
    #expect(reason(folder.path).contains("looked for class folders"))
    try folder.write(TarBuilder().finished, to: "nothing.tar")
    #expect(reason(folder.path).contains("1 .tar archives hold none"))
    #expect(
      reason(folder.path + "/sub/readme.txt").contains(
        "expected a folder, a .tar archive, a shard list, a JPEG or a PNG"))
  }

  @Test(arguments: ["tars", "folders"])
  func theFolderAboveTheSplitsPointsDown(layout: String) throws {
    for split in ["train", "val"] {
      for wnid in ["n01", "n02"] {
        if layout == "tars" { try folder.write(classArchive(wnid, images: 1), to: "\(split)/\(wnid).tar") }
        if layout == "folders" { try folder.write(jpeg, to: "\(split)/\(wnid)/a.jpg") }
      }
    }
    #expect(reason(folder.path).contains("did you mean \(folder.path)/train?"))
  }

  private func reason(_ path: String) -> String {
    do {
      _ = try openDataset(path)
      return "opened"
    } catch { return error.description }
  }

  @Test func tinyImageNetOpensFromItsArchives() throws {
    guard let path = realData("tiny-imagenet-20/train") else { return }
    let dataset = try openDataset(path)
    #expect(dataset.count == 10_000 && dataset.classNames.count == 20)
    #expect(dataset.label(of: 499) == 0 && dataset.label(of: 500) == 1 && dataset.label(of: 9_999) == 19)
    for index in stride(from: 0, to: 10_000, by: 97) {
      let image = try dataset.image(at: index)
      #expect(image.width == 64 && image.height == 64)
      #expect(dataset.name(of: index).contains(dataset.classNames[Int(dataset.label(of: index))]))
    }
  }

  @Test func everyRealPhotographDecodes() throws {
    guard let path = realData("imagenet-sample") else { return }
    let dataset = try openDataset(path)
    #expect(dataset.count == 400 && dataset.classNames.count == 400)
    for index in 0..<dataset.count { #expect(try dataset.image(at: index).width > 0) }
  }
}
