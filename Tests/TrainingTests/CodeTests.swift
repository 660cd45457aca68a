import Checkpointing
import Foundation
import Tensors
import Testing
import Tokenizer

@testable import DataLoading
@testable import Training

struct CodeTests {
  @Test func codesAreWhatTheTokenizerSaysOfEveryView() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      let data = "drawn:20,resolution=16,seed=3"
      let codes = try encode(data, by: tokenizer, to: folder + "/codes") { $0.isFlipped = true }
      #expect(codes.count == 20)
      try codes.verify()
      let images = try openDataset(data)
      let trained = try TrainedTokenizer(path: tokenizer)
      for keep in [9, 16] {
        let batch = try codes.batch(images: [0, 7, 19], views: [0, 1, 0], keep: keep, firstGlobalIndex: 5)
        #expect(batch.labels == [0, 7, 7])
        #expect(batch.firstGlobalIndex == 5)
        for (place, (image, isMirrored)) in [(0, false), (7, true), (19, false)].enumerated() {
          let pixels = FixedView(.center, isMirrored: isMirrored)
            .values(of: try images.image(at: image), shorterSide: 16, resolution: 16)
          let output = withoutGradient { trained.model(Tensor(pixels, shape: [1, 16, 16, 3]), keep: keep) }
          #expect(Array(batch.codes[place * keep..<(place + 1) * keep]) == output.indices)
          #expect(Array(batch.groups[place * 16..<(place + 1) * 16]) == output.groups)
          #expect(
            Array(batch.expandedCodes[place * 16..<(place + 1) * 16])
              == output.groups.map { output.indices[Int($0)] })
        }
      }
    }
  }

  @Test func tenCropsAreCornersAndMiddleInTwoKinds() throws {
    // A picture whose red is its column and whose green is its row.
    var pixels: [UInt8] = []
    for row in 0..<8 { for column in 0..<6 { pixels += [UInt8(column * 20), UInt8(row * 20), 0] } }
    let image = PixelImage(width: 6, height: 8, pixels: pixels)
    func corner(_ view: FixedView) -> [Int] {
      view.values(of: image, shorterSide: 6, resolution: 4).prefix(2).map { Int((($0 + 1) * 127.5 / 20).rounded()) }
    }
    #expect(FixedView.tenCrops.count == 10 && FixedView.tenCrops[0] == FixedView())
    #expect(corner(FixedView(.center)) == [1, 2])
    #expect(corner(FixedView(.topLeft)) == [0, 0])
    #expect(corner(FixedView(.topRight)) == [2, 0])
    #expect(corner(FixedView(.bottomLeft)) == [0, 4])
    #expect(corner(FixedView(.bottomRight)) == [2, 4])
    #expect(corner(FixedView(.topLeft, isMirrored: true)) == [3, 0])
  }

  @Test func anUnfinishedEncodingGoesOnAndACompleteOneIsLeftAlone() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      let (data, output) = ("drawn:600,resolution=16,seed=3", folder + "/codes")
      let manifest = try encode(data, by: tokenizer, to: output).manifest
      #expect(manifest.shards.map(\.imageCount) == [256, 256, 88])
      #expect(throws: (any Error).self) { try encode(data, by: tokenizer, to: output) }

      // As an interruption after the first shard leaves it.
      try CodeManifest.write(manifest.content, to: output + "/" + CodeManifest.contentFileName)
      for name in [CodeManifest.fileName, manifest.shards[1].name, manifest.shards[2].name] {
        try FileManager.default.removeItem(atPath: output + "/" + name)
      }
      let untouched = try FileManager.default.attributesOfItem(atPath: output + "/" + manifest.shards[0].name)
      let error = #expect(throws: CodeFileError.self) { try CodeDataset(directory: output) }
      #expect(error?.problem.contains("not complete") == true)
      let other = #expect(throws: (any Error).self) {
        try encode(data, by: tokenizer, to: output) { $0.keepCounts = [9] }
      }
      #expect("\(other.map { "\($0)" } ?? "")".contains("unfinished codes of another encoding"))
      #expect(try encode(data, by: tokenizer, to: output).manifest == manifest)
      let kept = try FileManager.default.attributesOfItem(atPath: output + "/" + manifest.shards[0].name)
      #expect(kept[.systemFileNumber] as? Int == untouched[.systemFileNumber] as? Int)
      #expect(!FileManager.default.fileExists(atPath: output + "/" + CodeManifest.contentFileName))
    }
  }

  @Test func unusableImagesAreLeftOutAndListed() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      for (index, name) in ["a", "b"].enumerated() {
        try FileManager.default.createDirectory(atPath: folder + "/data/\(name)", withIntermediateDirectories: true)
        for number in 0..<3 {
          try DrawnImages(count: 9, resolution: 16).image(at: number + 3 * index, resolution: 16)
            .writePNG(to: folder + "/data/\(name)/\(number).png")
        }
      }
      try Data("no picture".utf8).write(to: URL(filePath: folder + "/data/a/1.png"))
      let refused = #expect(throws: (any Error).self) {
        try encode(folder + "/data", by: tokenizer, to: folder + "/refused")
      }
      #expect("\(refused.map { "\($0)" } ?? "")".contains("1 of 6 images could not be used"))
      let codes = try encode(folder + "/data", by: tokenizer, to: folder + "/codes") { $0.badImageShare = 0.5 }
      #expect(codes.count == 5)
      #expect(try codes.batch(images: [0, 1, 2], views: [0, 0, 0], keep: 9, firstGlobalIndex: 0).labels == [0, 0, 1])
      let list = try String(contentsOfFile: folder + "/codes/bad-images-rank0.jsonl", encoding: .utf8)
      #expect(list.contains("a/1.png"))
    }
  }

  @Test func damagedAndForeignCodesAreNamed() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      let output = folder + "/codes"
      let manifest = try encode("drawn:20,resolution=16,seed=3", by: tokenizer, to: output).manifest
      func problem(_ body: () throws -> Void) -> String {
        do {
          try body()
          return "none"
        } catch { return "\(error)" }
      }
      let foreign = try TrainedTokenizer(path: saveTinyTokenizer(in: folder + "/other", seed: 2)).identity
      let text = problem { try CodeDataset(directory: output).require(tokenizer: foreign) }
      #expect(text.contains(manifest.content.tokenizer.sha256.prefix(12)) && text.contains(foreign.sha256.prefix(12)))

      // The same bytes, said to be of fewer bits.
      var narrow = manifest
      narrow.content.codeBits = 3
      try CodeManifest.write(narrow, to: output + "/manifest.json")
      #expect(problem { try CodeDataset(directory: output).verify() }.contains("which is not in 0..<8"))
      try CodeManifest.write(manifest, to: output + "/manifest.json")
      #expect(problem { try CodeDataset(directory: output).verify() } == "none")

      let shard = output + "/codes-00000.safetensors"
      var bytes = try Data(contentsOf: URL(filePath: shard))
      bytes[bytes.count - 1] ^= 1
      try bytes.write(to: URL(filePath: shard))
      #expect(problem { try CodeDataset(directory: output).verify() }.hasPrefix("\(shard): SHA-256 is"))
      try bytes.dropLast().write(to: URL(filePath: shard))
      #expect(
        problem { _ = try CodeDataset(directory: output) }.hasPrefix("\(shard): is \(bytes.count - 1) bytes long"))
      try FileManager.default.removeItem(atPath: shard)
      #expect(problem { _ = try CodeDataset(directory: output) }.hasPrefix("\(shard): is missing"))
    }
  }

  @Test func batchesDoNotDependOnTheRanksAndGoOnWhereTheyWere() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      let codes = try encode("drawn:20,resolution=16,seed=3", by: tokenizer, to: folder + "/codes") {
        $0.isFlipped = true
      }
      func source(rank: Int, of worldSize: Int, batchSize: Int, cursor: Int = 0) -> CodeSource {
        CodeSource(
          dataset: codes, seed: 4, schedule: KeepSchedule(counts: [9, 16], distribution: .uniform, imagesPerStep: 8),
          share: RankShare(rank: rank, worldSize: worldSize, batchSize: batchSize), cursor: cursor)
      }
      // Eight steps: more than an epoch of 20 images.
      let whole = source(rank: 0, of: 1, batchSize: 8)
      let steps = try (0..<8).map { _ in try whole.next() }
      #expect(Set(steps.map(\.codes)).count == 8)
      let ranks = (0..<2).map { source(rank: $0, of: 2, batchSize: 2) }
      for step in steps {
        // Two rounds of accumulation.
        let parts = try (0..<2).flatMap { _ in try ranks.map { try $0.next() } }
        #expect(parts.flatMap(\.codes) == step.codes && parts.flatMap(\.groups) == step.groups)
        #expect(parts.flatMap(\.labels) == step.labels)
        #expect(parts.allSatisfy { $0.keepCount == step.keepCount })
        #expect(parts.map(\.firstGlobalIndex) == [0, 2, 4, 6].map { step.firstGlobalIndex + $0 })
      }
      #expect(try source(rank: 0, of: 1, batchSize: 8, cursor: 24).next() == steps[3])
      // Mirrored views come up, too.
      let plain = try codes.batch(
        images: Array(0..<20), views: Array(repeating: 0, count: 20), keep: 9, firstGlobalIndex: 0)
      let known = Set((0..<20).map { Array(plain.codes[$0 * 9..<($0 + 1) * 9]) })
      let seen = steps.filter { $0.keepCount == 9 }.flatMap { step in
        (0..<8).map { Array(step.codes[$0 * 9..<($0 + 1) * 9]) }
      }
      #expect(seen.contains { !known.contains($0) } && seen.contains { known.contains($0) })
    }
  }

  @Test func classesAreFoundByNameTitleAndIndex() throws {
    let classes = ClassNames(
      names: ["n01", "n02", "n03"], titles: ["king penguin, Aptenodytes", "crane", "crane, tower crane"])
    func indices(_ prompt: String) throws(ConfigError) -> [Int] { try classes.indices(of: prompt, count: 3) }
    #expect(try indices("King Penguin, n03,1") == [0, 2, 1])
    #expect(try indices("all") == [0, 1, 2])
    #expect(try indices("tower crane") == [2])
    #expect(classes.label(of: 0) == "king penguin" && ClassNames(names: ["x"]).label(of: 0) == "x")
    func problem(_ prompt: String) -> String {
      do {
        return "\(try indices(prompt))"
      } catch { return error.description }
    }
    #expect(problem("kin penguin").contains("did you mean 'king penguin'?"))
    #expect(problem("crane").contains("may be any of n02, n03"))
    #expect(problem("3").contains("there is no class 3; the generator has 3"))
    #expect(problem("unrelated").contains("none of the generator's 3 classes"))
    #expect(problem(" , ").contains("names no class"))
  }

  @Test func titlesAreReadFromAFile() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/classes.txt"
      try "n02\tcrane\nn01\tking penguin, Aptenodytes\n".write(toFile: path, atomically: true, encoding: .utf8)
      var classes = ClassNames(names: ["n01", "n02"])
      try classes.readTitles(from: path)
      #expect(classes.titles == ["king penguin, Aptenodytes", "crane"])
      classes.names.append("n03")
      let error = #expect(throws: ConfigError.self) { try classes.readTitles(from: path) }
      #expect(error?.problem.contains("no line for the class 'n03'") == true)
    }
  }
}
