import Foundation
import Testing

@testable import DataLoading

@Suite(.timeLimit(.minutes(10)))
struct ShardStageTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    let jpeg = try madeUpPicture(width: 9, height: 6).encodedAsJPEG(quality: 80)
    for shard in 0..<3 {
      var archive = TarBuilder()
      for index in 0..<4 {
        archive.add("\(shard)-\(index).jpg", jpeg)
        archive.add("\(shard)-\(index).cls", [UInt8(ascii: "0")])
      }
      try folder.write(archive.finished, to: "shared/x-\(shard).tar")
    }
    try FileManager.default.createDirectory(atPath: folder.path + "/local", withIntermediateDirectories: true)
  }

  private var local: String { folder.path + "/local" }
  private func dataset() throws -> ArchivedImages {
    try #require(openDataset(folder.path + "/shared/x-{0..2}.tar") as? ArchivedImages)
  }
  private func copies() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: local + "/mergevq-stage").filter { $0.hasSuffix(".tar") }
  }
  /// Reads an image until its archive is copied.
  private func readUntilCopied(_ images: ArchivedImages, _ index: Int, count: Int) throws {
    for _ in 0..<400 {
      _ = try images.bytes(at: index)
      if try copies().count == count { return }
      usleep(10_000)
    }
    Issue.record("no copy of image \(index)'s archive")
  }

  @Test func anArchiveIsReadFromItsCopyAsSoonAsThatIsThere() throws {
    let stage = try ShardStage(folder: local, byteLimit: 1 << 20)
    let images = try dataset().staged(by: stage)
    let expected = try images.bytes(at: 0)
    try readUntilCopied(images, 0, count: 1)
    usleep(250_000)
    _ = try images.bytes(at: 0)
    // The original is of no use any more.
    try folder.write([UInt8](repeating: 0, count: 10), to: "shared/x-0.tar")
    #expect(try images.bytes(at: 1) == expected)
    stage.close()
    #expect(!FileManager.default.fileExists(atPath: local + "/mergevq-stage"))
  }

  @Test func processesOfANodeShareOneCopyAndTheLastRemovesIt() throws {
    let first = try ShardStage(folder: local, byteLimit: 1 << 20)
    let second = try ShardStage(folder: local, byteLimit: 1 << 20)
    try readUntilCopied(dataset().staged(by: first), 0, count: 1)
    let others = try dataset().staged(by: second)
    _ = try others.bytes(at: 0)
    usleep(50_000)
    #expect(try copies().count == 1 && second.copiedByteCount == 0 && first.copiedByteCount > 0)
    first.close()
    #expect(try copies().count == 1)
    second.close()
    #expect(!FileManager.default.fileExists(atPath: local + "/mergevq-stage"))
  }

  @Test func copiesKeepTheirBound() throws {
    let size = try DatasetOutline.File(folder.path + "/shared/x-0.tar").byteCount
    let stage = try ShardStage(folder: local, byteLimit: 2 * size + 100)
    let images = try dataset().staged(by: stage)
    try readUntilCopied(images, 0, count: 1)
    try readUntilCopied(images, 4, count: 2)
    let before = try copies()
    for _ in 0..<200 where stage.copiedByteCount < 3 * size {
      _ = try images.bytes(at: 8)
      usleep(10_000)
    }
    usleep(50_000)
    #expect(try copies().count == 2 && Set(copies()) != Set(before), "the oldest made room")
    stage.close()
  }

  @Test func anArchiveThatCannotFitIsNotCopiedAndRemovesNoCopies() throws {
    let size = try DatasetOutline.File(folder.path + "/shared/x-0.tar").byteCount
    let stage = try ShardStage(folder: local, byteLimit: size)
    try readUntilCopied(dataset().staged(by: stage), 0, count: 1)
    var large = TarBuilder()
    large.add("a.jpg", [UInt8](repeating: 0, count: size))
    large.add("a.cls", [UInt8(ascii: "0")])
    let path = try folder.write(large.finished, to: "large.tar")
    let images = try #require(openDataset(path) as? ArchivedImages)
    _ = try images.staged(by: stage).bytes(at: 0)
    usleep(100_000)
    #expect(try stage.copiedByteCount == size && copies().count == 1)
    stage.close()
  }

  @Test func aCopyThatCannotBeMadeIsToldOnceAndTheOriginalIsRead() throws {
    let stage = try ShardStage(folder: local, byteLimit: 1 << 20)
    let images = try dataset().staged(by: stage)
    let expected = try dataset().bytes(at: 0)
    try FileManager.default.removeItem(atPath: local + "/mergevq-stage")
    #expect(try images.bytes(at: 0) == expected)
    var problem: String?
    for _ in 0..<400 where problem == nil {
      problem = stage.drainProblem()
      usleep(10_000)
    }
    #expect(problem?.hasPrefix(local + "/mergevq-stage/") == true && problem?.contains("cannot be written") == true)
    #expect(try images.bytes(at: 0) == expected)
    #expect(stage.drainProblem() == nil)
    stage.close()
  }

  @Test func whatAKilledJobLeftIsRemoved() throws {
    try folder.write([1, 2, 3], to: "local/mergevq-stage/abc.tar")
    try folder.write([1], to: "local/mergevq-stage/def.tar.partial")
    let stage = try ShardStage(folder: local, byteLimit: 1 << 20)
    #expect(try FileManager.default.contentsOfDirectory(atPath: local + "/mergevq-stage") == ["in-use"])
    stage.close()
  }

  @Test func aFolderThatCannotBeUsedIsNamed() {
    let error = #expect(throws: DataError.self) { try ShardStage(folder: "/nowhere/at/all", byteLimit: 1) }
    #expect(error?.description.hasPrefix("/nowhere/at/all/mergevq-stage: cannot be written") == true)
  }
}
