import Generator
import TestSupport
import Testing

/// MergeAR against the reference implementation's numbers.
struct MergedParityTests {
  private func keepCounts(_ reference: FixtureModel) throws -> [Int] {
    try reference.file.int32s("input.keep_index").map { reference.model.config.keepCounts[Int($0)] }
  }

  private func logits(_ reference: FixtureModel, window: Int?) throws -> Transformer.Logits {
    reference.model.merged(
      try reference.codes(), classes: try reference.classes, keepCounts: try keepCounts(reference),
      representatives: try reference.file.int32s("input.representative"), window: window)
  }

  @Test(arguments: Fixture.all(ofKind: "merge_ar"))
  func logitsLossesAndGradientsAgree(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .raster)
    let logits = try logits(reference, window: nil)
    try reference.expectLogits(logits)
    try reference.expectLossesAndGradients(logits)
  }

  @Test(arguments: Fixture.all(ofKind: "merge_ar"))
  func otherWindowsAgree(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .raster)
    let windows = reference.settings["windows"] as? [Int] ?? []
    #expect(!windows.isEmpty)
    for window in windows {
      try reference.expectLogits(try logits(reference, window: window), "output.window\(window).")
    }
  }

  @Test(arguments: Fixture.all(ofKind: "merge_ar"))
  func theMaskAgrees(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .raster)
    let length = reference.model.config.positionCount
    let mask = MergeMask.visibility(
      representatives: try reference.file.int32s("input.representative"), length: length,
      window: reference.model.config.window)
    let found = (0..<mask.samples).flatMap { sample in
      (0..<mask.queries).flatMap { query in
        (0..<mask.keys).map { mask.isVisible(sample: sample, query: query, key: $0) ? Int32(1) : 0 }
      }
    }
    #expect(found == (try reference.file.int32s("output.mask")))
  }

  @Test(arguments: Fixture.all(ofKind: "merge_ar"))
  func greedyDecodingThroughTheCompactedCacheAgrees(fixture: Fixture) throws {
    let reference = try FixtureModel(fixture, order: .raster)
    let (classes, expected) = (try reference.classes, try reference.codes("output.greedy_"))
    let length = reference.model.config.positionCount
    let decoder = RasterDecoder(
      DecodingWeights(reference.model), classes: classes, keepCounts: try keepCounts(reference))
    var entries: [[Int]] = []
    var found: [CodePairs] = []
    for _ in 0..<length {
      let codes = decoder.greedyCodes()
      found.append(codes)
      decoder.append(codes)
      entries.append(decoder.seenEntries)
    }
    for image in classes.indices {
      let range = image * length..<(image + 1) * length
      #expect(found.map { $0.pre[image] } == Array(expected.pre[range]))
      #expect(found.map { $0.post[image] } == Array(expected.post[range]))
      #expect(
        entries.map { Int32($0[image]) } == Array(try reference.file.int32s("output.greedy_cache_entries")[range]))
    }
    #expect(decoder.representatives == (try reference.file.int32s("output.greedy_representative")))
  }
}
