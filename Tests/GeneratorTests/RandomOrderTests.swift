import Layers
import Tensors
import TestSupport
import Testing

@testable import Generator

struct RandomOrderTests {
  @Test(arguments: [(256, 88, 88, 24, 5), (256, 64, 64, 13, 7), (144, 64, 64, 23, 4)])
  func theScheduleHasItsCheckValues(tokens: Int, steps: Int, count: Int, ones: Int, largest: Int) {
    let schedule = RandomOrder.schedule(tokens: tokens, steps: steps)
    #expect(schedule.count == count)
    #expect(schedule.prefix { $0 == 1 }.count == ones)
    #expect(schedule.max() == largest)
    #expect(schedule.reduce(0, +) == tokens)
  }

  @Test(arguments: [(1, 1), (9, 1), (9, 2), (9, 20), (16, 5)])
  func everyScheduleReachesAllTokens(tokens: Int, steps: Int) {
    let schedule = RandomOrder.schedule(tokens: tokens, steps: steps)
    #expect(schedule.reduce(0, +) == tokens && schedule.allSatisfy { $0 > 0 } && schedule.count <= steps)
  }

  @Test func cellsFollowTheSharesOfTheTrainingImages() {
    // Nine cells: one that always represents its group, one that never does, and others that do so often or seldom.
    let shares: [Float] = [1, 1, 0, 0.9, 0.9, 0.1, 0.1, 0.5, 0.5]
    var counts = [Int](repeating: 0, count: 9)
    for image in 0..<1000 {
      let cells = RandomOrder.cells(count: 5, shares: shares, seed: 3, image: image)
      #expect(Set(cells).count == 5)
      for cell in cells { counts[Int(cell)] += 1 }
    }
    #expect(counts[0] == 1000 && counts[1] == 1000 && counts[2] == 0)
    #expect(counts[3] > 750 && counts[4] > 750 && counts[5] < 250 && counts[6] < 250, "\(counts)")
    #expect(abs(counts[7] - counts[8]) < 120)
    // Every place in the order is as likely.
    let firsts = (0..<1000).map { RandomOrder.cells(count: 4, of: 4, seed: 1, image: $0)[0] }
    for cell in 0..<4 { #expect(abs(firsts.count { $0 == Int32(cell) } - 250) < 60) }
  }

  @Test func theArrangementNamesRepresentatives() {
    // Two samples of 2×2 cells, three tokens: sample 0 merges cells 0 and 3, sample 1 merges 1 and 2.
    let codes = CodePairs(pre: [1, 2, 3, 0, 1, 2], post: [4, 5, 6, 7, 0, 1])
    let groups: [Int32] = [0, 1, 2, 0, 2, 0, 0, 1]
    let result = RandomOrder.arrangement(codes, groups: groups, orders: [2, 0, 1, 1, 2, 0], batch: 2)
    #expect(result.codes == CodePairs(pre: [3, 1, 2, 1, 2, 0], post: [6, 4, 5, 0, 1, 7]))
    #expect(result.cells == [2, 0, 1, 3, 0, 1])
  }

  /// N = 4 by hand: the sequence class, I0, t0, I1, t1, I2, t2, I3 is put together from the model's own parts, with every
  /// instruction and token at its cell's rotary row, and each position sees what stands before it.
  @Test func theSequenceOfFourTokensIsTheDefinition() {
    let model = smallModel(.random)
    let cells: [Int32] = [6, 0, 11, 3]
    let codes = randomCodes(model.config, count: 4, seed: 9)
    let logits = withoutGradient { model.randomOrder(codes, classes: [2], cells: cells) }

    let byHand = withoutGradient { () -> Tensor in
      func instruction(_ cell: Int32) -> Tensor {
        rotary(
          model.positionInstruction!.value, rotatedHeads: 4, table: model.table, rows: [1 + cell]
        ).reshaped([1, 1, 32])
      }
      func token(_ n: Int) -> Tensor {
        (model.preEmbedding([codes.pre[n]]) + model.postEmbedding([codes.post[n]])).reshaped([1, 1, 32])
      }
      let x = joined([
        model.classEmbedding([2], shape: [1, 1]),
        instruction(6), token(0), instruction(0), token(1), instruction(11), token(2), instruction(3),
      ])
      let visible = [
        "10000000", "11000000", "11100000", "11110000", "11111000", "11111100", "11111110", "11111111",
      ].map { $0.map { $0 == "1" } }
      let mask = KeyVisibility(queries: 8, keys: 8) { _, query, key in visible[query][key] }
      let h = model.sequence(x, rows: [0, 7, 7, 1, 1, 12, 12, 4], mask: .table(mask), draws: nil)
      let predicting = joined([1, 3, 5, 7].map { h.tokens($0..<$0 + 1) })
      return model.logits(predicting, pre: codes.pre, draws: nil).post
    }
    expectClose(logits.post.values, byHand.values, "second factor", tolerance: 1e-5)
  }

  @Test(arguments: [[1, 1, 1, 1, 1, 1], [1, 2, 3], [6], [2, 3, 1]])
  func cachedParallelDecodingEqualsTheFullForward(steps: [Int]) {
    let model = smallModel(.random)
    let (config, count, classes) = (model.config, 6, [Int32]([1, 4]))
    let codes = randomCodes(config, count: 2 * count, seed: 4)
    let cells: [Int32] = [6, 0, 11, 3, 15, 8, 1, 0, 2, 9, 4, 12]
    let decoder = RandomOrderDecoder(DecodingWeights(model), classes: classes, hasUnconditionalStreams: true)
    var (done, latest) = (0, CodePairs())
    for step in steps {
      func part(_ values: [Int32]) -> [Int32] {
        (0..<2).flatMap { values[$0 * count + done..<$0 * count + done + step] }
      }
      let asked = CodePairs(pre: part(codes.pre), post: part(codes.post))
      let hidden = decoder.advance(latest, cells: part(cells))
      let factors = decoder.factors(rowCount: hidden.rows)
      let pre = factors.preLogits(hidden).values
      let post = factors.postLogits(pre: asked.pre + asked.pre).values
      // Every asked token alone, behind the finished ones, in the training forward; then the streams without class.
      for (lane, labels) in [classes, Array(repeating: Int32(config.droppedClass), count: 2)].enumerated() {
        for image in 0..<2 {
          for token in 0..<step {
            let finished = Array(image * count..<image * count + done) + [image * count + done + token]
            let alone = CodePairs(pre: finished.map { codes.pre[$0] }, post: finished.map { codes.post[$0] })
            let expected = withoutGradient {
              model.randomOrder(alone, classes: [labels[image]], cells: finished.map { cells[$0] })
            }
            let row = (lane * 2 + image) * step + token
            expectClose(last(pre, row, of: 4), last(expected.pre.values, done, of: 4), "first factor")
            expectClose(last(post, row, of: 8), last(expected.post.values, done, of: 8), "second factor")
          }
        }
      }
      (done, latest) = (done + step, asked)
    }
  }

  private func last(_ values: [Float], _ row: Int, of size: Int) -> [Float] {
    Array(values[row * size..<(row + 1) * size])
  }
}
