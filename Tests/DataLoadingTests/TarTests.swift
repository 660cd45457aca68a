import DataLoading
import Testing

struct TarTests {
  private let folder: TemporaryFolder
  private let png: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    png = try madeUpPicture(width: 8, height: 7).encodedAsPNG()
  }

  private func open(_ bytes: [UInt8]) throws -> any ImageDataset {
    try openDataset(folder.write(bytes, to: "a.tar"))
  }

  private func members(_ dataset: any ImageDataset) -> [String] {
    (0..<dataset.count).map { String(dataset.name(of: $0).split(separator: "!")[1]) }
  }

  @Test func longNamesOfEveryDialectAreRead() throws {
    let long = String(repeating: "long/", count: 30)
    var archive = TarBuilder()
    archive.addLongName(long + "gnu.png")
    archive.add("cut", png)
    archive.addProperties([("mtime", "1.5"), ("path", long + "pax.png")])
    archive.add("cut", png)
    archive.add("ustar.png", png, prefix: String(long.dropLast()))
    archive.add("plain.png", png)
    let dataset = try open(archive.finished)
    try #require(dataset.count == 4)
    #expect(members(dataset) == [long + "gnu.png", long + "pax.png", long + "ustar.png", "plain.png"])
    for index in 0..<4 { #expect(try dataset.image(at: index).width == 8) }
  }

  @Test func sizesInBinaryAndInPropertiesAreRead() throws {
    var archive = TarBuilder()
    archive.add("a.png", png, size: .binary)
    archive.addProperties([("size", String(png.count))])
    archive.add("b.png", png, claimedByteCount: 0)
    archive.add("c.png", png)
    let dataset = try open(archive.finished)
    try #require(dataset.count == 3)
    #expect(members(dataset) == ["a.png", "b.png", "c.png"])
    for index in 0..<3 { #expect(try dataset.image(at: index).width == 8) }
  }

  @Test func whatIsNoFileIsPassedOver() throws {
    var archive = TarBuilder()
    archive.add("folder.png/", [], type: "5")
    archive.add("link.png", [], type: "2")
    archive.add("hard.png", [], type: "1")
    archive.add("global", Array("11 a=bcdef\n".utf8), type: "g")
    archive.add("._fork.png", [1, 2, 3])
    archive.add("../outside.png", png)
    archive.add("notes.txt", [1])
    #expect(try members(open(archive.finished)) == ["../outside.png"])
  }

  @Test func anArchiveWithoutItsEndMarkIsComplete() throws {
    var archive = TarBuilder()
    archive.add("a.png", png)
    #expect(try open(archive.bytes).count == 1)
  }

  @Test func anArchiveThatBreaksOffIsRefusedWithThePlace() throws {
    var archive = TarBuilder()
    archive.add("a.png", png)
    let first = archive.bytes.count
    archive.add("b.png", png)
    for length in [first + 100, first + 512, first + 512 + png.count - 1] {
      let error = #expect(throws: DataError.self) { try open(Array(archive.bytes.prefix(length))) }
      #expect(error?.description.contains("broken archive at byte \(first)") == true)
    }
  }

  @Test func damagedHeadersAreRefused() throws {
    var archive = TarBuilder()
    archive.add("a.png", png)
    for place in [0, 124, 130, 148, 156, 400] {
      var bytes = archive.finished
      bytes[place] ^= 0x41
      #expect(throws: DataError.self, "byte \(place)") { try open(bytes) }
    }
    #expect(throws: DataError.self) { try open([UInt8](repeating: 7, count: 2_048)) }
  }

  @Test(arguments: ["path=no length\n", "99999 path=x\n", "5 path=abc\n", "12 size=-1234\n", "9 nothing\n"])
  func badPropertiesAreRefused(text: String) throws {
    var archive = TarBuilder()
    archive.add("PaxHeaders/x", Array(text.utf8), type: "x")
    archive.add("a.png", png)
    #expect(throws: DataError.self) { try open(archive.finished) }
  }

  @Test func absurdSizesAreRefused() throws {
    for claimed in [Int.max / 2, 1 << 50, 1 << 20] {
      var archive = TarBuilder()
      archive.add("a.png", png, size: .binary, claimedByteCount: claimed)
      #expect(throws: DataError.self) { try open(archive.finished) }
      var named = TarBuilder()
      named.add("././@LongLink", [65], type: "L", size: .binary, claimedByteCount: claimed)
      #expect(throws: DataError.self) { try open(named.finished) }
    }
  }
}
