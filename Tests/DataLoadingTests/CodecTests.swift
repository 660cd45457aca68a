import Testing

@testable import DataLoading

struct CodecTests {
  @Test(arguments: [
    "gray.png", "gray16.png", "rgb16.png", "palette.png", "palette-transparent.png", "rgba.png", "gray-alpha.png",
    "interlaced.png", "interlaced-rgba.png", "jpeg-gray.jpg", "jpeg-progressive.jpg", "jpeg-rotated-by-exif.jpg",
    "jpeg-cmyk-adobe.jpg", "jpeg-cmyk-plain.jpg", "jpeg-ycck.jpg",
  ])
  func everyKindOfFileShowsThePictureItHolds(file: String) throws {
    let expectedFile = "codec-" + file.split(separator: ".")[0] + ".expected.png"
    let expected = try PixelImage(decoding: contents(ofFixture: expectedFile), name: expectedFile)
    let found = try PixelImage(decoding: contents(ofFixture: "codec-" + file), name: file)
    #expect(found.width == expected.width && found.height == expected.height)
    let differences = zip(found.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }
    // JPEG loses a little; a wrong colour model or an obeyed rotation costs tens of levels.
    let mean = Double(differences.reduce(0, +)) / Double(differences.count)
    #expect(file.hasSuffix("png") ? differences.allSatisfy { $0 == 0 } : mean < 4, "off by \(mean) on average")
  }

  @Test func aPictureSurvivesPNGUnchanged() throws {
    let picture = madeUpPicture(width: 37, height: 19)
    #expect(try PixelImage(decoding: picture.encodedAsPNG(), name: "made up") == picture)
  }

  @Test(arguments: [ChromaSampling.halved, .full])
  func aPictureSurvivesJPEGNearly(chroma: ChromaSampling) throws {
    let pixels: [UInt8] = (0..<3600).map { index in
      let (column, channel) = (index / 3 % 40, index % 3)
      return UInt8(column * 5 + channel * 20)
    }
    let picture = PixelImage(width: 40, height: 30, pixels: pixels)
    let bytes = try picture.encodedAsJPEG(quality: 95, chroma: chroma)
    let decoded = try PixelImage(decoding: bytes, name: "made up")
    #expect(zip(decoded.pixels, picture.pixels).allSatisfy { abs(Int($0) - Int($1)) < 16 })
  }

  @Test func pngFilesAreWrittenAndUnwritablePlacesNamed() throws {
    let folder = try TemporaryFolder()
    let picture = madeUpPicture(width: 5, height: 4)
    try picture.writePNG(to: folder.path + "/a.png")
    #expect(try openDataset(folder.path).image(at: 0) == picture)
    let nowhere = folder.path + "/missing/a.png"
    #expect(throws: DataError(path: nowhere, reason: .unwritable(detail: "No such file or directory"))) {
      try picture.writePNG(to: nowhere)
    }
  }

  @Test func aJPEGCutAnywhereIsRefused() throws {
    let bytes = try madeUpPicture(width: 33, height: 21).encodedAsJPEG(quality: 90)
    for length in 0..<bytes.count {
      #expect(throws: DataError.self, "cut to \(length) of \(bytes.count) bytes") {
        try PixelImage(decoding: Array(bytes.prefix(length)), name: "cut")
      }
    }
  }

  @Test func damageIsFoundWhateverWindowIsDecoded() throws {
    let bytes = try madeUpPicture(width: 70, height: 90).encodedAsJPEG(quality: 90)
    let window = PixelWindow(columns: 0..<5, rows: 0..<3)
    #expect(try decoded(bytes, [window])[0].width == 5)
    for length in (bytes.count / 2)..<bytes.count {
      #expect(throws: DataError.self, "cut to \(length) of \(bytes.count) bytes") {
        try decoded(Array(bytes.prefix(length)), [window])
      }
    }
  }

  @Test(arguments: [
    "codec-jpeg-gray.jpg", "codec-jpeg-progressive.jpg", "codec-jpeg-cmyk-adobe.jpg", "codec-jpeg-ycck.jpg",
    "codec-interlaced.png",
  ])
  func aWindowOfAFixtureIsAPartOfTheWhole(file: String) throws {
    try expectWindowsToBeParts(of: contents(ofFixture: file), name: file)
  }

  @Test(arguments: [ChromaSampling.halved, .full], [nil, 1, 20, 60])
  func aWindowOfAJPEGIsAPartOfTheWhole(chroma: ChromaSampling, shorterSide: Int?) throws {
    let bytes = try madeUpPicture(width: 171, height: 121).encodedAsJPEG(quality: 90, chroma: chroma)
    try expectWindowsToBeParts(of: bytes, name: "made up", shorterSide: shorterSide)
  }

  @Test func aWindowOfAPhotographIsAPartOfTheWhole() throws {
    guard let path = realData("imagenet-sample") else { return }
    let dataset = try #require(try openDataset(path) as? any EncodedImageDataset)
    for index in 0..<dataset.count {
      try expectWindowsToBeParts(of: dataset.bytes(at: index), name: dataset.name(of: index), windowCount: 2)
    }
  }

  private func expectWindowsToBeParts(
    of bytes: [UInt8], name: String, shorterSide: Int? = nil, windowCount: Int = 40
  ) throws {
    let options = DecodingOptions(smallestShorterSide: shorterSide)
    let whole = try PixelImage(decoding: bytes, name: name, options: options)
    var random = KeyedRandom(seed: UInt64(bytes.count), purpose: .view, epoch: 0)
    for count in 1...windowCount {
      // One window, or two that are decoded together.
      let windows = (0...count % 2).map { _ in
        let (left, top) = (random.integer(below: whole.width), random.integer(below: whole.height))
        return PixelWindow(
          columns: left..<(left + 1 + random.integer(below: whole.width - left)),
          rows: top..<(top + 1 + random.integer(below: whole.height - top)))
      }
      #expect(try decoded(bytes, windows, options) == windows.map(whole.cropped), "\(windows) of \(name)")
    }
  }

  /// Resampling to the same size is a copy.
  private func decoded(
    _ bytes: [UInt8], _ windows: [PixelWindow], _ options: DecodingOptions = DecodingOptions()
  ) throws -> [PixelImage] {
    let image = try EncodedImage(bytes, name: "made up", options: options)
    return try image.resampled(
      windows.map {
        Resampling(
          of: PixelWindow(width: image.width, height: image.height), width: image.width, height: image.height,
          window: $0, isFlipped: false)
      })
  }

  @Test func aJPEGWithAHoleBeforeItsEndIsRefused() throws {
    let bytes = try madeUpPicture(width: 64, height: 64).encodedAsJPEG(quality: 90)
    for length in [20, 100, 500] {
      #expect(throws: DataError.self, "\(length) bytes missing") {
        try PixelImage(decoding: bytes.dropLast(length + 2) + [0xFF, 0xD9], name: "hole")
      }
    }
  }

  @Test func aPNGCutAnywhereIsRefused() throws {
    let bytes = try contents(ofFixture: "codec-interlaced-rgba.png")
    for length in 0..<bytes.count {
      #expect(throws: DataError.self, "cut to \(length) of \(bytes.count) bytes") {
        try PixelImage(decoding: Array(bytes.prefix(length)), name: "cut")
      }
    }
  }

  @Test func damagedBytesAreRefusedOrDecodedButNeverCrash() throws {
    let files = try ["codec-jpeg-ycck.jpg", "codec-jpeg-progressive.jpg", "codec-palette-transparent.png"].map {
      try contents(ofFixture: $0)
    }
    var random = KeyedRandom(seed: 1, purpose: .view, epoch: 0)
    var refusedCount = 0
    for round in 0..<3_000 {
      var bytes = files[round % files.count]
      for _ in 0...random.integer(below: 4) {
        bytes[random.integer(below: bytes.count)] = UInt8(random.integer(below: 256))
      }
      do {
        _ = try PixelImage(decoding: bytes, name: "damaged", options: DecodingOptions(pixelLimit: 1 << 16))
      } catch {
        refusedCount += 1
      }
    }
    #expect(refusedCount > 1_000)
  }

  @Test func anAbsurdSizeIsRefusedBeforeMemoryIsTaken() throws {
    var png = try contents(ofFixture: "codec-gray.png")
    png.replaceSubrange(16..<24, with: [0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0])  // 100,000 × 100,000
    #expect(throws: tooLarge(width: 100_000, height: 100_000, limit: 1 << 26)) {
      try PixelImage(decoding: png, name: "huge")
    }
    var jpeg = try contents(ofFixture: "codec-jpeg-gray.jpg")
    let frame = try #require(jpeg.indices.first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
    jpeg.replaceSubrange((frame + 5)..<(frame + 9), with: [0xFD, 0xE8, 0xFD, 0xE8])  // 65,000 × 65,000
    #expect(throws: tooLarge(width: 65_000, height: 65_000, limit: 1 << 26)) {
      try PixelImage(decoding: jpeg, name: "huge")
    }
    let small = try madeUpPicture(width: 20, height: 10).encodedAsPNG()
    #expect(throws: tooLarge(width: 20, height: 10, limit: 199)) {
      try PixelImage(decoding: small, name: "huge", options: DecodingOptions(pixelLimit: 199))
    }
    #expect(try PixelImage(decoding: small, name: "fits", options: DecodingOptions(pixelLimit: 200)).width == 20)
  }

  private func tooLarge(width: Int, height: Int, limit: Int) -> DataError {
    DataError(path: "huge", reason: .tooLarge(width: width, height: height, pixelLimit: limit))
  }

  @Test func whatIsNoImageIsRefusedWithItsReason() {
    #expect(throws: DataError(path: "a", reason: .emptyFile)) { try PixelImage(decoding: [], name: "a") }
    #expect(throws: DataError(path: "a", reason: .undecodable(detail: "neither JPEG nor PNG"))) {
      try PixelImage(decoding: Array("<html>Not found</html>".utf8), name: "a")
    }
  }

  @Test func strayBytesBeforeAMarkerAreHarmless() throws {
    var bytes = try contents(ofFixture: "codec-jpeg-gray.jpg")
    let whole = try PixelImage(decoding: bytes, name: "whole")
    bytes.insert(contentsOf: [0x11, 0x22, 0x33, 0x44, 0x55], at: bytes.count - 2)
    #expect(try PixelImage(decoding: bytes, name: "stray") == whole)
    #expect(throws: DataError.self) { try PixelImage(decoding: Array(bytes.dropLast(2)), name: "no end") }
  }

  @Test(arguments: [(nil, 45), (46, 45), (45, 45), (23, 45), (22, 23), (11, 12), (5, 6), (1, 6)] as [(Int?, Int)])
  func scaledDecodingStopsAboveTheShorterSide(shorterSide: Int?, height: Int) throws {
    let bytes = try madeUpPicture(width: 70, height: 45).encodedAsJPEG(quality: 90)
    let options = DecodingOptions(smallestShorterSide: shorterSide)
    #expect(try PixelImage(decoding: bytes, name: "scaled", options: options).height == height)
  }
}
