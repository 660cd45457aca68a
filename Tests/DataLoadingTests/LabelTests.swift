import Foundation
import Testing

@testable import DataLoading

/// ImageNet's validation archive and what gives its images their classes.
struct LabelTests {
  private let folder: TemporaryFolder
  private let archive: String
  private let classNames = ["n01440764", "n02100735", "n02110185", "n02119789", "n15075141"]
  /// Ground truth 3 1 5 5 2 4 as ranks of the wnids.
  private let labels: [Int32] = [0, 3, 2, 2, 1, 4]

  init() throws {
    folder = try TemporaryFolder()
    var builder = TarBuilder()
    let jpeg = try madeUpPicture(width: 9, height: 6).encodedAsJPEG(quality: 80)
    // Members lie in any order; the labels follow the sorted names.
    for number in [4, 1, 6, 2, 5, 3] { builder.add("ILSVRC2012_val_0000000\(number).JPEG", jpeg) }
    archive = try folder.write(builder.finished, to: "val/ILSVRC2012_img_val.tar")
  }

  private func expectLabels(_ dataset: any ImageDataset) {
    #expect(dataset.classNames == classNames)
    #expect((0..<dataset.count).map { dataset.label(of: $0) } == labels)
    #expect(dataset.name(of: 0).hasSuffix("val_00000001.JPEG"))
  }

  @Test func theDevelopmentKitGivesClassesPackedAndUnpacked() throws {
    expectLabels(try openDataset(archive, labels: fixtureFolder + "/devkit.tar.gz"))
    let truth = "3\r\n1\r\n5\r\n5\r\n2\r\n4\r\n"
    try folder.write(contents(ofFixture: "devkit-plain.mat"), to: "kit/data/meta.mat")
    try folder.write(Array(truth.utf8), to: "kit/data/ILSVRC2012_validation_ground_truth.txt")
    expectLabels(try openDataset(archive, labels: folder.path + "/kit"))
    expectLabels(try openDataset(archive, labels: folder.path + "/kit/data"))
  }

  @Test func theDevelopmentKitIsFoundBesideTheArchive() throws {
    #expect(try openDataset(archive).classNames.isEmpty)
    try folder.write(contents(ofFixture: "devkit.tar.gz"), to: "val/ILSVRC2012_devkit_t12.tar.gz")
    expectLabels(try openDataset(archive))
  }

  @Test func aListOfSynsetsGivesClasses() throws {
    let list = labels.map { classNames[Int($0)] + "\n" }.joined()
    expectLabels(try openDataset(archive, labels: folder.write(Array(list.utf8), to: "synsets.txt")))
  }

  @Test func labelsThatDoNotFitAreRefusedWithTheReason() throws {
    let cases: [(String, [UInt8], String)] = [
      ("short.txt", Array("n1\nn2\n".utf8), "2 labels for 6 images"),
      ("spaces.txt", Array("n1 x\n".utf8), "line 1 must be one class name"),
      ("binary", [0xFF, 0xFE, 0], "neither a development kit nor a text file"),
      ("cut.tar.gz", Array(try contents(ofFixture: "devkit.tar.gz").dropLast(400)), "damaged compressed data"),
    ]
    for (name, bytes, reason) in cases {
      let path = try folder.write(bytes, to: name)
      let error = #expect(throws: DataError.self) { try openDataset(archive, labels: path) }
      #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }
    let wrongPlace = #expect(throws: DataError.self) { try openDataset("drawn:4", labels: archive) }
    #expect(wrongPlace?.description.contains("brings its own classes") == true)
    try folder.write(contents(ofFixture: "devkit-plain.mat"), to: "bad/meta.mat")
    try folder.write(Array("3\n9\n".utf8), to: "bad/ILSVRC2012_validation_ground_truth.txt")
    let unknown = #expect(throws: DataError.self) { try openDataset(archive, labels: folder.path + "/bad") }
    #expect(unknown?.description.contains("line 2 of ILSVRC2012_validation_ground_truth.txt is '9'") == true)
  }

  @Test func matlabFilesAreReadWithTheirTexts() throws {
    let file = try MATLABFile(contents(ofFixture: "devkit-plain.mat"), name: "meta.mat")
    let synsets = try #require(file.structures["synsets"])
    #expect(synsets.count == 8)
    #expect(synsets[2]["WNID"] == .text("n01440764") && synsets[2]["words"] == .text("words of n01440764, größer"))
    #expect(synsets[5]["children"] == .numbers([2, 5]) && synsets[0]["num_train_images"] == .numbers([1300]))
  }

  /// Levels 0 to 9 and strategies of zlib, as Python's `zlib` packed them.
  @Test func deflatedDataComesBack() throws {
    let gzip = try contents(ofFixture: "devkit.tar.gz")
    let tar = try Inflating.gzip(gzip, name: "devkit")
    #expect(tar.count % 512 == 0 && tar.count > 4_000)
    let twice = try Inflating.gzip(gzip + gzip, name: "two members")
    #expect(twice == tar + tar)
    for length in 0..<gzip.count where length % 7 == 0 || length > gzip.count - 20 {
      #expect(throws: DataError.self) { try Inflating.gzip(Array(gzip.prefix(length)), name: "cut") }
    }
    var flipped = gzip
    flipped[flipped.count - 6] ^= 1
    let error = #expect(throws: DataError.self) { try Inflating.gzip(flipped, name: "flipped") }
    #expect(error?.description.contains("its checksum is wrong") == true)
    #expect(throws: DataError.self) { try Inflating.gzip(gzip, name: "limited", sizeLimit: tar.count - 1) }
  }

  @Test(arguments: ["stored", "fixed", "dynamic", "repeats"])
  func everyKindOfBlockIsUnpacked(kind: String) throws {
    let packed = try contents(ofFixture: "deflate-\(kind).zlib")
    let expected = (0..<3_000).map {
      UInt8(truncatingIfNeeded: kind == "repeats" ? $0 / 700 : $0 * $0 / 7 % (kind == "stored" ? 256 : 23))
    }
    #expect(try Inflating.zlib(packed, name: kind) == expected)
  }
}
