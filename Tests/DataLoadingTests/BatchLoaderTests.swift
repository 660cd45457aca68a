import DataLoading
import Testing

@Suite(.timeLimit(.minutes(10)))
struct BatchLoaderTests {
  private func options(
    batchSize: Int, threads: Int = 2, allowedBadShare: Double = 1, minimum: Int = 0, seed: UInt64 = 9
  ) -> LoaderOptions {
    LoaderOptions(
      batchSize: batchSize, views: [ViewOptions(resolution: 6, shorterSide: 8)], seed: seed, threadCount: threads,
      allowedBadShare: allowedBadShare, badShareMinimumCount: minimum)
  }

  private func batches(
    _ dataset: any ImageDataset, _ options: LoaderOptions, steps: Int, cursor: Int = 0, rank: Int = 0,
    worldSize: Int = 1
  ) throws -> [ImageBatch] {
    let loader = BatchLoader(
      dataset: dataset, options: options, order: .shuffled(cursor: cursor), rank: rank, worldSize: worldSize)
    return try (0..<steps).map { _ in try loader.next() }
  }

  @Test func aBatchHasTheStatedShapesAndRange() throws {
    let batch = try batches(NumberedImages(count: 10), options(batchSize: 4), steps: 1)[0]
    #expect(batch.count == 4 && batch.labels.count == 4 && batch.sampleIndices.count == 4)
    #expect(batch.resolution == 6 && batch.pixels.count == 4 * 6 * 6 * 3)
    #expect(batch.pixels.allSatisfy { (-1...1).contains($0) } && Set(batch.pixels).count > 10)
    for (label, sample) in zip(batch.labels, batch.sampleIndices) { #expect(label == Int32(sample % 2)) }
    #expect(batch.firstGlobalIndex == 0 && batch.epoch == 0)
  }

  @Test(arguments: [1, 3, 8])
  func theNumberOfThreadsChangesNothing(threads: Int) throws {
    let dataset = NumberedImages(count: 23, bad: [3, 11])
    let expected = try batches(dataset, options(batchSize: 5, threads: 2), steps: 12)
    #expect(try batches(dataset, options(batchSize: 5, threads: threads), steps: 12) == expected)
  }

  @Test(arguments: [(2, 4), (4, 2), (8, 1)])
  func ranksTogetherSeeWhatOneRankSees(worldSize: Int, batchSize: Int) throws {
    let dataset = NumberedImages(count: 27, bad: [5, 6, 7, 20])
    let whole = try batches(dataset, options(batchSize: 8), steps: 8)
    let shares = try (0..<worldSize).map {
      try batches(dataset, options(batchSize: batchSize), steps: 8, rank: $0, worldSize: worldSize)
    }
    for step in 0..<8 {
      #expect(shares.flatMap { $0[step].sampleIndices } == whole[step].sampleIndices)
      #expect(shares.flatMap { $0[step].labels } == whole[step].labels)
      #expect(shares.flatMap { $0[step].pixels } == whole[step].pixels)
    }
  }

  @Test func theCursorContinuesAtAnotherWorldSize() throws {
    let dataset = NumberedImages(count: 11)
    let whole = try batches(dataset, options(batchSize: 6), steps: 6)
    let first = BatchLoader(dataset: dataset, options: options(batchSize: 6), order: .shuffled(cursor: 0))
    for _ in 0..<3 { _ = try first.next() }
    #expect(first.cursor == 18)
    let rest = try (0..<3).map {
      try batches(dataset, options(batchSize: 2), steps: 3, cursor: first.cursor, rank: $0, worldSize: 3)
    }
    for step in 0..<3 {
      #expect(rest.flatMap { $0[step].sampleIndices } == whole[3 + step].sampleIndices)
      #expect(rest.flatMap { $0[step].pixels } == whole[3 + step].pixels)
    }
  }

  @Test(arguments: [1, 2, 3])
  func everyEpochShowsEveryImageOnceAcrossBatchBounds(worldSize: Int) throws {
    let count = 25
    let shares = try (0..<worldSize).map {
      try batches(NumberedImages(count: count), options(batchSize: 4), steps: 30, rank: $0, worldSize: worldSize)
    }
    let order = (0..<30).flatMap { step in shares.flatMap { $0[step].sampleIndices } }
    for epoch in 0..<4 { #expect(order[(epoch * count)..<((epoch + 1) * count)].sorted() == Array(0..<count)) }
  }

  @Test func anotherEpochShowsTheSameImageDifferently() throws {
    let all = try batches(NumberedImages(count: 1), options(batchSize: 1), steps: 8)
    #expect(Set(all.map(\.pixels)).count > 2)
    #expect(all.map(\.epoch) == Array(0..<8))
  }

  @Test func anUnusableImageIsReplacedByTheNextOfItsEpoch() throws {
    let clean = try batches(NumberedImages(count: 20), options(batchSize: 20), steps: 1)[0].sampleIndices
    let (first, second) = (clean[4], clean[5])
    let dataset = NumberedImages(count: 20, bad: [first, second])
    let loader = BatchLoader(dataset: dataset, options: options(batchSize: 20), order: .shuffled(cursor: 0))
    var expected = clean
    expected[4] = clean[6]
    expected[5] = clean[6]
    #expect(try loader.next().sampleIndices == expected)
    // At place 4 both fail, at place 5 the second once more.
    #expect(loader.badCount == 3 && loader.seenCount == 23)
    let records = loader.drainBadImages()
    #expect(records.map(\.sampleIndex) == [first, second])
    #expect(records.first?.name == "number \(first)" && records.first?.reason == "cannot be decoded: marked bad")
    #expect(loader.drainBadImages().isEmpty)
    _ = try loader.next()
    #expect(loader.drainBadImages().isEmpty, "an image is recorded once, however often it comes up")
    #expect(loader.badCount > 3)
  }

  @Test func tooManyUnusableImagesStopTheRunAndSaySo() throws {
    let dataset = NumberedImages(count: 100, bad: [1, 2, 3])
    let tolerant = BatchLoader(
      dataset: dataset, options: options(batchSize: 100, allowedBadShare: 0.05), order: .shuffled(cursor: 0))
    #expect(try tolerant.next().count == 100)
    let strict = BatchLoader(
      dataset: dataset, options: options(batchSize: 100, allowedBadShare: 0.02), order: .shuffled(cursor: 0))
    let error = #expect(throws: DataError.self) { try strict.next() }
    #expect(error?.description.contains("3 of 103 images could not be used") == true)
    let young = BatchLoader(
      dataset: dataset, options: options(batchSize: 100, allowedBadShare: 0.02, minimum: 150),
      order: .shuffled(cursor: 0))
    #expect(try young.next().count == 100, "three are within 2 % of the minimum of 150")
  }

  @Test func aDatasetWithoutAUsableImageEndsWithAnError() {
    let loader = BatchLoader(
      dataset: NumberedImages(count: 5, bad: [0, 1, 2, 3, 4]), options: options(batchSize: 2),
      order: .shuffled(cursor: 0))
    let error = #expect(throws: DataError.self) { try loader.next() }
    #expect(error?.description.contains("none of 5 images from position 0 on") == true)
  }

  @Test(arguments: [1, 2, 3, 8])
  func aSequentialPassCoversEachImageOnce(worldSize: Int) throws {
    let count = 21
    let dataset = NumberedImages(count: count, bad: [17])
    var options = options(batchSize: 4)
    options.views = options.views.map(\.deterministic)
    var shown: [Int] = []
    var firstPixels: [Float] = []
    for rank in 0..<worldSize {
      let loader = BatchLoader(
        dataset: dataset, options: options, order: .sequential, rank: rank, worldSize: worldSize)
      let steps = try #require(loader.stepCount)
      #expect(steps == (count + 4 * worldSize - 1) / (4 * worldSize))
      for step in 0..<steps {
        let batch = try loader.next()
        #expect(batch.pixels.count == batch.count * 6 * 6 * 3)
        shown += batch.sampleIndices
        if rank == 0 && step == 0 { firstPixels = Array(batch.pixels.prefix(108)) }
      }
      #expect(loader.cursor == count)
    }
    #expect(shown.sorted() == (0..<count).filter { $0 != 17 })
    #expect(try firstPixels == options.views[0].values(of: dataset.image(at: 0)))
  }

  @Test func severalViewsShowTheSameImagesInTheirOwnWay() throws {
    var options = options(batchSize: 3)
    options.views = [ViewOptions(resolution: 6, shorterSide: 8), ViewOptions(resolution: 5, crop: .center)]
    let batch = try batches(NumberedImages(count: 9), options, steps: 1)[0]
    #expect(batch.views.map(\.resolution) == [6, 5] && batch.views[1].pixels.count == 3 * 5 * 5 * 3)
  }

  @Test func aLoaderThatIsLeftEarlyEndsItsThreads() throws {
    for _ in 0..<20 {
      let loader = BatchLoader(
        dataset: NumberedImages(count: 50), options: options(batchSize: 4, threads: 4), order: .shuffled(cursor: 0))
      _ = try loader.next()
    }
    let unused = BatchLoader(
      dataset: NumberedImages(count: 50), options: options(batchSize: 4), order: .shuffled(cursor: 0))
    unused.stop()
  }

  @Test func troubledFilesAreSkippedAndNamed() throws {
    let folder = try TemporaryFolder()
    let good = try madeUpPicture(width: 20, height: 16).encodedAsJPEG(quality: 90)
    for index in 0..<6 { try folder.write(good, to: "n01/good\(index).JPEG") }
    var huge = try contents(ofFixture: "codec-gray.png")
    huge.replaceSubrange(16..<24, with: [0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0])
    try folder.write([], to: "n01/empty.JPEG")
    try folder.write(Array(good.dropLast(20)), to: "n01/truncated.JPEG")
    try folder.write(Array("hello".utf8), to: "n01/text.JPEG")
    try folder.write(huge, to: "n01/huge.JPEG")
    let dataset = try openDataset(folder.path)
    let loader = BatchLoader(dataset: dataset, options: options(batchSize: 10), order: .shuffled(cursor: 0))
    let batch = try loader.next()
    #expect(batch.count == 10)
    #expect(batch.sampleIndices.allSatisfy { dataset.name(of: $0).contains("good") })
    let records = loader.drainBadImages()
    #expect(records.count == 4)
    let reasons = Dictionary(
      records.map { ($0.name.split(separator: "/").last ?? "", $0.reason) }, uniquingKeysWith: { first, _ in first })
    #expect(reasons["empty.JPEG"] == "the file is empty")
    #expect(reasons["truncated.JPEG"] == "cannot be decoded: Premature end of JPEG file")
    #expect(reasons["text.JPEG"] == "cannot be decoded: neither JPEG nor PNG")
    #expect(reasons["huge.JPEG"]?.contains("100000×100000") == true)
  }
}
