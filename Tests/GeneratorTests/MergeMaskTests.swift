import Tensors
import Testing

@testable import Generator

struct MergeMaskTests {
  @Test func theFiguresExampleSeesWhatThePaperShows() {
    // Groups 1 1 3 3 5 5 5 8 8 with a window of 2 (the paper's figure); positions are numbered from 1 there.
    let groups: [Int32] = [1, 1, 3, 3, 5, 5, 5, 8, 8]
    let representatives = MergeMask.representatives(groups: groups, length: 9)
    #expect(representatives == [0, 0, 2, 2, 4, 4, 4, 7, 7])
    let mask = MergeMask.visibility(representatives: representatives, length: 9, window: 2)
    func seen(by token: Int) -> [Int] {
      (1...8).filter { mask.isVisible(sample: 0, query: token + 1, key: $0 + 1) }
    }
    #expect(seen(by: 5) == [1, 3, 4, 5])
    #expect(seen(by: 7) == [1, 3, 5, 6, 7])
    // Token 9 predicts nothing, so it is no row of the mask; what it would see follows from the rule.
    let ninth = (1...9).filter {
      MergeMask.sees(8, $0 - 1, keyIsRepresentative: Int(representatives[$0 - 1]) == $0 - 1, window: 2)
    }
    #expect(ninth == [1, 3, 5, 7, 8, 9])
  }

  @Test func everyTokenSeesClassAndInstruction() {
    let mask = MergeMask.visibility(representatives: [0, 0, 0, 0], length: 4, window: 0)
    #expect(mask.isVisible(sample: 0, query: 0, key: 0) && !mask.isVisible(sample: 0, query: 0, key: 1))
    for query in 1...4 { #expect((0...1).allSatisfy { mask.isVisible(sample: 0, query: query, key: $0) }) }
    #expect(!mask.isVisible(sample: 0, query: 1, key: 2))
  }

  @Test func instructionsBetweenCandidatesAreInterpolated() {
    let model = smallModel(.raster)
    let rows = model.mergeInstruction([4, 9, 16]).values
    let width = model.config.width
    func row(_ keep: Int) -> [Float] { model.mergeInstruction([keep]).values }
    #expect(row(4) == Array(rows[..<width]))
    #expect(row(2) == row(4) && row(400) == row(16))
    let between = zip(rows[..<width], rows[width..<2 * width]).map { 0.4 * $0 + 0.6 * $1 }
    #expect(zip(row(7), between).allSatisfy { abs($0 - $1) < 1e-6 })
  }
}
