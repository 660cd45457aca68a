import Foundation
import Testing

@testable import DataLoading

/// Bytes from the wild: what cannot be used is refused with a reason; nothing crashes, hangs or takes much memory.
@Suite(.timeLimit(.minutes(10)))
struct HostileInputTests {
  @Test func everyKnownTroubleEndsAsItShould() throws {
    let path = fixtureFolder + "/troubles.tar"
    let dataset = try #require(openDataset(path) as? ArchivedImages)
    var outcomes: [String: String] = [:]
    for index in 0..<dataset.count {
      let name = String(dataset.name(of: index).split(separator: "!")[1])
      do throws(DataError) {
        let image = try dataset.image(at: index)
        outcomes[name] = "\(image.width)×\(image.height)"
      } catch {
        outcomes[name] = error.reason.description
      }
    }
    let usable = [
      "png-named.JPEG", "cmyk.JPEG", "ycck.JPEG", "rotated-by-exif.JPEG", "twice.JPEG", "../outside.JPEG",
      "/absolute.JPEG", "long-" + String(repeating: "n", count: 200) + ".JPEG",
    ]
    for name in usable { #expect(outcomes.removeValue(forKey: name) == "22×17", "\(name)") }
    #expect(
      outcomes == [
        "empty.JPEG": "the file is empty",
        "truncated.JPEG": "cannot be decoded: Premature end of JPEG file",
        "text.JPEG": "cannot be decoded: neither JPEG nor PNG",
        "huge-png.JPEG": "claims 100000×100000 pixels, more than the limit of 67108864",
        "huge-jpeg.JPEG": "claims 65000×65000 pixels, more than the limit of 67108864",
      ])
    #expect(
      dataset.leftOut == [
        LeftOutMember(name: path + "!hard.JPEG", reason: "it is a link"),
        LeftOutMember(name: path + "!symbolic.JPEG", reason: "it is a link"),
        LeftOutMember(name: path + "!twice.JPEG", reason: "a later member has the same name"),
      ])
  }

  /// One way into the program, and an honest input for it.
  private struct Entrance {
    let name: String
    let input: [UInt8]
    /// How many damaged inputs are tried.
    let caseCount: Int
    /// - Throws: `DataError` for input that is refused.
    let body: ([UInt8]) throws -> Void
  }

  private func entrances() throws -> [Entrance] {
    let options = DecodingOptions(pixelLimit: 1 << 16)
    var entrances: [Entrance] = []
    for file in [
      "jpeg-gray.jpg", "jpeg-progressive.jpg", "jpeg-ycck.jpg", "jpeg-cmyk-plain.jpg", "gray.png", "rgb16.png",
      "palette-transparent.png", "interlaced-rgba.png",
    ] {
      entrances.append(
        Entrance(name: file, input: try contents(ofFixture: "codec-" + file), caseCount: 7_000) {
          _ = try PixelImage(decoding: $0, name: "damaged", options: options)
        })
    }
    let tar = try contents(ofFixture: "troubles.tar")
    entrances.append(
      Entrance(name: "class archive", input: tar, caseCount: 4_000) { bytes in
        let part = DatasetPart(byteCount: bytes.count, name: "damaged.tar", className: "n01")
        let members = try bytes.imageMembers(of: part)
        for index in 0..<members.names.count {
          _ = try bytes.read(at: members.offsets[index], count: members.byteCounts[index], name: "damaged.tar")
        }
      })
    var shard = TarBuilder()
    for key in ["a", "b", "c"] {
      shard.add(key + ".jpg", [1, 2, 3])
      shard.add(key + (key == "b" ? ".json" : ".cls"), Array((key == "b" ? #"{"label": 1}"# : "1").utf8))
    }
    for suffix in ["jpg", "cls"] {
      shard.addProperties([("path", String(repeating: "long/", count: 30) + "d." + suffix)])
      shard.add("cut", [UInt8(ascii: "2")])
    }
    entrances.append(
      Entrance(name: "shard", input: shard.finished, caseCount: 12_000) { bytes in
        let part = DatasetPart(byteCount: bytes.count, name: "damaged.tar")
        let members = try bytes.sampleMembers(of: part)
        var images = ArchivedImages(files: [])
        images.append(members, part: part)
        try images.settleClasses(labels: nil, names: nil, of: "damaged.tar")
      })
    entrances.append(
      Entrance(
        name: "index JSON",
        input: Array(
          #"{"wids_version":1,"shardlist":[{"url":"a-0.tar","nsamples":12,"filesize":512}],"classes":["a","b"]}"#.utf8),
        caseCount: 10_000
      ) { _ = try ShardIndex(json: $0, path: "damaged.json") })
    entrances.append(
      Entrance(name: ".cls", input: Array("n01440764\n".utf8), caseCount: 10_000) { bytes in
        if SampleClass.text(cls: bytes) == nil { throw DataError(path: ".cls", reason: .badLabels(detail: "no class")) }
      })
    entrances.append(
      Entrance(name: "sample JSON", input: Array(#"{"label": 17, "width": 3.5, "x": [1]}"#.utf8), caseCount: 6_000) {
        bytes in
        if SampleClass.text(json: bytes) == nil {
          throw DataError(path: ".json", reason: .badLabels(detail: "no class"))
        }
      })
    entrances.append(
      Entrance(name: "development kit", input: try contents(ofFixture: "devkit.tar.gz"), caseCount: 6_000) { bytes in
        let tar = try Inflating.gzip(bytes, name: "damaged.gz", sizeLimit: 1 << 20)
        _ = try tar.tarMembers(in: 0..<tar.count, name: "damaged.gz")
      })
    entrances.append(
      Entrance(name: "deflated block", input: try contents(ofFixture: "deflate-dynamic.zlib"), caseCount: 10_000) {
        _ = try Inflating.zlib($0, name: "damaged.zlib", sizeLimit: 1 << 16)
      })
    entrances.append(
      Entrance(name: "meta.mat", input: try contents(ofFixture: "devkit-plain.mat"), caseCount: 6_000) {
        _ = try MATLABFile($0, name: "damaged.mat")
      })
    let members = try shard.finished.sampleMembers(of: DatasetPart(byteCount: shard.finished.count, name: "a.tar"))
    entrances.append(
      Entrance(name: "list of a part", input: members.encoded, caseCount: 10_000) { bytes in
        var reader = ByteReader(bytes[...])
        do {
          _ = try PartMembers(from: &reader)
        } catch {
          throw DataError(path: "list", reason: .unreadable(detail: "damaged"))
        }
      })
    return entrances
  }

  @Test func damagedInputIsRefusedWithAReasonAndNothingElseHappens() throws {
    var caseCount = 0
    var reasons: [String: Int] = [:]
    var random = KeyedRandom(seed: 2_024, purpose: .view, epoch: 0)
    let before = peakMemory()
    for entrance in try entrances() {
      try entrance.body(entrance.input)
      var refusedCount = 0
      for _ in 0..<entrance.caseCount {
        do {
          try entrance.body(damaged(entrance.input, using: &random))
        } catch let error as DataError {
          refusedCount += 1
          let words = error.reason.description.split(separator: " ").prefix(4).joined(separator: " ")
          reasons[words.filter { !$0.isNumber }, default: 0] += 1
        }
      }
      caseCount += entrance.caseCount
      #expect(refusedCount > entrance.caseCount / 20, "\(entrance.name): \(refusedCount) refused")
    }
    let grown = peakMemory() - before
    print(
      "hostile input: \(caseCount) cases, \(reasons.values.reduce(0, +)) refused for \(reasons.count) kinds of reason, peak memory grew by \(grown >> 20) MiB"
    )
    for (reason, count) in reasons.sorted(by: { $0.value > $1.value }).prefix(12) { print("  \(count)  \(reason)") }
    #expect(caseCount >= 100_000)
    #expect(grown < 256 << 20)
  }

  /// One to four damages: flipped and extreme bytes, a cut, a piece that is repeated or left out.
  private func damaged(_ input: [UInt8], using random: inout KeyedRandom) -> [UInt8] {
    var bytes = input
    for _ in 0...random.integer(below: 4) where !bytes.isEmpty {
      let place = random.integer(below: bytes.count)
      let length = min(1 + random.integer(below: 16), bytes.count - place)
      switch random.integer(below: 8) {
      case 0, 1: bytes[place] = UInt8(random.integer(below: 256))
      case 2: bytes[place] ^= 1 << UInt8(random.integer(below: 8))
      case 3: bytes[place] = [0, 0x7F, 0x80, 0xFF][random.integer(below: 4)]
      case 4: bytes.replaceSubrange(place..<(place + length), with: repeatElement(0xFF, count: length))
      case 5: bytes.insert(contentsOf: Array(bytes[place..<(place + length)]), at: random.integer(below: bytes.count))
      case 6: bytes.removeSubrange(place..<(place + length))
      default: if random.integer(below: 4) == 0 { bytes.removeSubrange(place...) }
      }
    }
    return bytes
  }

  /// The most memory this process has had, in bytes.
  private func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}
