import Tensors
import TestSupport
import Testing

@testable import Generator

/// Decoding through the compacted cache against the training forward under the mask.
struct CompressedDecodingTests {
  /// Groups of `positions` into at most `keep`, every sample differently.
  private func groups(batch: Int, positions: Int, keep: Int, seed: UInt64) -> [Int32] {
    var random = SplitMix64(seed: seed, 5)
    return (0..<batch * positions).map { _ in Int32.random(in: 0..<Int32(keep), using: &random) }
  }

  @Test(arguments: [1, 4, 9, 16], [0, 1, 2, 8, 16])
  func cachedLogitsEqualTheTrainingForward(keep: Int, window: Int) {
    let model = smallModel(.raster)
    let (config, batch) = (model.config, 3)
    let length = config.positionCount
    let seed = UInt64(keep * 100 + window)
    let groups = groups(batch: batch, positions: length, keep: keep, seed: seed)
    let representatives = MergeMask.representatives(groups: groups, length: length)
    // Codes need not agree with the groups: what leaves the context is decided by the groups alone.
    let codes = randomCodes(config, count: batch * length, seed: seed)
    let classes: [Int32] = [0, 3, 5]
    let keepCounts = [4, 7, 16]
    let expected = withoutGradient {
      model.merged(
        codes, classes: classes, keepCounts: keepCounts, representatives: representatives, window: window)
    }

    let decoder = RasterDecoder(
      DecodingWeights(model), classes: classes, keepCounts: keepCounts, window: window)
    for position in 0..<length {
      func column<Value>(_ values: [Value]) -> [Value] { (0..<batch).map { values[$0 * length + position] } }
      let factors = decoder.factors()
      let (pre, post) = (column(codes.pre), column(codes.post))
      expectRows(factors.preLogits(decoder.hidden), expected.pre, position: position)
      expectRows(factors.postLogits(pre: pre), expected.post, position: position)
      decoder.append(CodePairs(pre: pre, post: post), representatives: column(representatives))
      for sample in 0..<batch {
        let seen = Set(representatives[sample * length...sample * length + position])
        #expect(decoder.heldEntries[sample] <= 2 + seen.count + window)
        #expect(decoder.seenEntries[sample] <= 2 + seen.count + window + 1)
      }
    }
  }

  /// Row `position` of every sample.
  private func expectRows(_ found: Tensor, _ expected: Tensor, position: Int) {
    let (length, classes) = (expected.shape[1], expected.channels)
    let values = expected.values
    let rows = (0..<expected.shape[0]).flatMap { sample -> ArraySlice<Float> in
      let start = (sample * length + position) * classes
      return values[start..<start + classes]
    }
    expectClose(found.values, rows, "position \(position)")
  }

  @Test func aWindowOfTheWholeImageIsThePlainTransformerBehindTheInstruction() {
    let model = smallModel(.raster)
    let length = model.config.positionCount
    let codes = randomCodes(model.config, count: 2 * length, seed: 1)
    func logits(_ representatives: [Int32], window: Int) -> [Float] {
      withoutGradient {
        model.merged(
          codes, classes: [1, 2], keepCounts: [9], representatives: representatives, window: window
        ).post.values
      }
    }
    let merged = MergeMask.representatives(
      groups: groups(batch: 2, positions: length, keep: 4, seed: 2), length: length)
    let nothingMerged = (0..<2).flatMap { _ in (0..<Int32(length)).map { $0 } }
    #expect(logits(merged, window: length) == logits(nothingMerged, window: 0))
    #expect(logits(merged, window: 1) != logits(nothingMerged, window: 0))
  }

  @Test func theCacheShrinksWithTheDistinctTokens() {
    let model = smallModel(.raster) { $0.gridSize = 16 }
    let length = model.config.positionCount
    let weights = DecodingWeights(model)
    func decoded(distinct: Int) -> RasterDecoder {
      let decoder = RasterDecoder(weights, classes: [0], keepCounts: [16], window: 2)
      for position in 0..<length {
        decoder.append(CodePairs(pre: [0], post: [0]), representatives: [Int32(min(position, position % distinct))])
      }
      return decoder
    }
    let (few, all) = (decoded(distinct: 30), decoded(distinct: length))
    #expect(few.heldEntries == [2 + 30 + 2])
    #expect(all.heldEntries == [2 + length])
    // Pages of 16 slots: 35 entries at most take three, 257 (the last token is not fed) take 17.
    #expect(few.cacheByteCount * 17 == all.cacheByteCount * 3)
  }

  @Test func codeEqualityFindsDuplicates() {
    var context = MergedContext(prefix: 2, window: 0)
    var seen: [Int] = []
    for code: Int32 in [5, 5, 7, 5, 7, 8] { seen.append(context.append(pre: code, post: 1).entries) }
    #expect(context.representatives == [0, 0, 2, 0, 2, 5])
    #expect(seen == [3, 4, 4, 5, 5, 5])
    #expect(context.heldEntries == 5)
    #expect(context.append(pre: 5, post: 2).slot == 5)
  }
}

extension RasterDecoder {
  /// The largest logits of both factors.
  func greedyCodes() -> CodePairs {
    let factors = factors()
    let pre = largest(factors.preLogits(hidden))
    return CodePairs(pre: pre, post: largest(factors.postLogits(pre: pre)))
  }

  private func largest(_ logits: Tensor) -> [Int32] {
    let values = logits.values
    return (0..<logits.rows).map { row in
      let start = row * logits.channels
      return Int32((0..<logits.channels).max { values[start + $0] < values[start + $1] } ?? 0)
    }
  }
}
