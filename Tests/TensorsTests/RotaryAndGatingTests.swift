import Tensors
import Testing

struct RotaryAndGatingTests {
  /// A table of random angles; row 0 is all zero.
  private func table(rows: Int, pairs: Int) -> Tensor {
    let table = randomTensors([rows, pairs, 2], seed: 5)[0]
    for index in 0..<2 * pairs { table.pointer[index] = 0 }
    return table
  }

  @Test func rotaryTurnsAdjacentPairsOfTheFirstHeads() {
    let table = Tensor([0, 0, 0, 0, 0, 1, 0.6, 0.8], shape: [2, 2, 2])
    let x = Tensor([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8], shape: [1, 2, 8])
    let y = rotary(x, rotatedHeads: 1, table: table, rows: [0, 1])
    // Row 1 turns the first pair by 90° and the second by atan2(0.8, 0.6); row 0 makes the head vanish.
    let expected: [Float] = [0, 0, 0, 0, 5, 6, 7, 8, -2, 1, -1.4, 4.8, 5, 6, 7, 8]
    #expect(zip(y.values, expected).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test(arguments: [[Int32]([0, 1, 2]), [2, 0, 1, 1, 2, 2]])
  func rotaryHasItsGradient(rows: [Int32]) {
    let table = table(rows: 3, pairs: 4)
    expectGradient(
      of: { rotary($0[0], rotatedHeads: 2, table: table, rows: rows) }, at: randomTensors([2, 3, 24]))
  }

  @Test func swiGLUIsSiluOfOneTimesTheOther() {
    let y = swiGLU(gate: Tensor([-2, 0, 1, 40], shape: [4]), up: Tensor([3, 1, -0.5, 2], shape: [4]))
    // x/(1 + e^−x) at −2, 0, 1 and 40.
    let expected: [Float] = [-0.2384058 * 3, 0, 0.7310586 * -0.5, 80]
    #expect(zip(y.values, expected).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  @Test func swiGLUHasItsGradient() {
    expectGradient(of: { swiGLU(gate: $0[0], up: $0[1]) }, at: randomTensors([3, 37], [3, 37]))
    expectGradient(of: { swiGLU(gate: $0[0], up: $0[0]) }, at: randomTensors([3, 37]))
  }

  @Test func joiningAndDroppingHaveTheirGradients() {
    let mask = DropoutMask(rate: 0.3, keys: [1, 2])
    expectGradient(
      of: { joined([$0[0], $0[1], $0[0]]) }, at: randomTensors([2, 3, 5], [2, 1, 5]))
    expectGradient(of: { dropout($0[0], mask) }, at: randomTensors([4, 33]))
    expectGradient(of: { residual($0[0], $0[1], dropout: mask) }, at: randomTensors([4, 33], [4, 33]))
    expectGradient(of: { residual($0[0], $0[0], dropout: mask) }, at: randomTensors([4, 33]))
  }

  @Test func joinedPutsSequencesOneAfterAnother() {
    let a = Tensor([1, 2, 3, 4], shape: [2, 1, 2])
    let b = Tensor([5, 6, 7, 8, 9, 10, 11, 12], shape: [2, 2, 2])
    #expect(joined([a, b]).values == [1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12])
  }

  @Test func dropoutKeepsTheMeanAndItsShare() {
    let count = 400_000
    let y = dropout(Tensor(repeating: 1, shape: [1, count]), DropoutMask(rate: 0.1, keys: [99])).values
    let dropped = y.count { $0 == 0 }
    // Four standard deviations of a binomial.
    #expect(abs(Double(dropped) - 40_000) < 4 * 190)
    #expect(y.allSatisfy { $0 == 0 || abs($0 - 1 / 0.9) < 1e-6 })
    let neighbours = zip(y, y.dropFirst()).count { $0 == 0 && $1 == 0 }
    #expect(abs(Double(neighbours) - 4_000) < 4 * 70)
  }

  @Test func dropoutOfASampleDoesNotDependOnItsBatch() {
    let x = randomTensors([3, 70_000])[0]
    let whole = dropout(x, DropoutMask(rate: 0.5, keys: [7, 8, 9])).values
    let alone = dropout(
      Tensor(x.values[70_000..<140_000], shape: [1, 70_000]), DropoutMask(rate: 0.5, keys: [8])
    ).values
    #expect(Array(whole[70_000..<140_000]) == alone)
    #expect(Array(whole[..<70_000]).map { $0 == 0 } != alone.map { $0 == 0 })
  }

  @Test func packedProductsEqualPlainOnesWhateverTheirRows() {
    for (rows, inputs, outputs) in [(1, 7, 5), (3, 64, 33), (8, 129, 64), (13, 48, 100), (40, 256, 72)] {
      let tensors = randomTensors([rows, inputs], [outputs, inputs])
      let packed = PackedMatrix(tensors[1])
      let y = linear(tensors[0], packed: packed)
      let reference = linear(tensors[0], weight: tensors[1])
      #expect(zip(y.values, reference.values).allSatisfy { abs($0 - $1) < 1e-4 })
      for row in 0..<rows {
        let one = linear(
          Tensor(tensors[0].values[row * inputs..<(row + 1) * inputs], shape: [1, inputs]), packed: packed)
        #expect(one.values == Array(y.values[row * outputs..<(row + 1) * outputs]), "row \(row) of \(rows)")
      }
    }
  }
}
