import Layers
import Optimizers
import Tensors
import Testing
import Tokenizer

struct SourceRecoveryTests {
  private static func config(positions: Bool) -> TokenizerConfig {
    var config = TokenizerConfig()
    config.resolution = 32
    config.channels = 32
    config.channelMultipliers = [1, 1, 1, 1]
    config.codeBits = 6
    config.recoveryWidth = 16
    config.recoveryBlocks = 2
    config.recoveryHeads = 2
    config.recoveryPositions = positions
    config.layerScale = 0.5
    return config
  }

  @Test func theRepresentativeIsTheFirstPositionOfItsGroup() {
    let groups: [Int32] = [1, 0, 1, 2, 0, 0, 2, 1, 0, 1]
    #expect(SourceRecovery.representatives(ofGroups: groups, tokens: 3, batch: 2) == [1, 0, 3, 0, 2, 1])
  }

  /// Directional derivatives of every parameter by itself: along its own gradient, so that no error hides behind the
  /// larger gradients of others.
  @Test(arguments: [false, true])
  func gradientsMatchDifferences(positions: Bool) throws {
    var random = SplitMix64(seed: 3)
    let recovery = try #require(SourceRecovery(Self.config(positions: positions), using: &random))
    let codes = codeVectors((0..<10).map { Int32($0 * 5) }, bits: 6).reshaped([2, 5, 6])
    let groups = (0..<32).map { Int32($0 * 7 % 5) }
    let representatives =
      positions ? SourceRecovery.representatives(ofGroups: groups, tokens: 5, batch: 2) : nil
    let arena = ParameterArena(recovery.parameters)
    // Embeddings of 0.02 are too small beside a step of 1e-2.
    for entry in arena.entries where entry.name == "rec_tokens" {
      for index in 0..<entry.range.count { entry.parameter.value.pointer[index] *= 25 }
    }
    func loss() -> Tensor { crossEntropy(recovery(codes, representatives: representatives), targets: groups) }
    arena.startStep()
    loss().backward()
    arena.finishGradients()
    for entry in arena.entries {
      let gradient = Array(arena.gradients[entry.range])
      let norm = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      guard norm > 1e-4 else { continue }
      func moved(_ step: Float) -> Double {
        let before = Array(arena.values[entry.range])
        for index in gradient.indices {
          arena.values[entry.range.lowerBound + index] += step * gradient[index] / Float(norm)
        }
        defer { for index in gradient.indices { arena.values[entry.range.lowerBound + index] = before[index] } }
        return Double(withoutGradient(loss).item)
      }
      let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2
      #expect(abs(numeric - norm) < 2e-3 * norm + 3e-5, "\(entry.name): \(norm), by differences \(numeric)")
    }
  }

  /// With positions the same code at two places can be told apart, without it cannot.
  @Test func positionsTellEqualCodesApart() throws {
    let codes = codeVectors([9, 9, 9, 9], bits: 6).reshaped([1, 4, 6])
    let groups: [Int32] = (0..<16).map { Int32($0 / 4) }
    func accuracyAfterTraining(positions: Bool) throws -> Double {
      var random = SplitMix64(seed: 5)
      let recovery = try #require(SourceRecovery(Self.config(positions: positions), using: &random))
      let representatives =
        positions ? SourceRecovery.representatives(ofGroups: groups, tokens: 4, batch: 1) : nil
      let arena = ParameterArena(recovery.parameters)
      let adam = Adam(range: 0..<arena.count, settings: Adam.Settings(beta1: 0.9, beta2: 0.99, epsilon: 1e-8))
      for _ in 0..<60 {
        arena.startStep()
        crossEntropy(recovery(codes, representatives: representatives), targets: groups).backward()
        arena.finishGradients()
        adam.step(arena.values, gradients: UnsafeBufferPointer(arena.gradients), learningRate: 1e-2)
      }
      let predicted = SourceRecovery.groups(
        fromLogits: withoutGradient { recovery(codes, representatives: representatives) })
      return Double(zip(predicted, groups).count { $0 == $1 }) / 16
    }
    #expect(try accuracyAfterTraining(positions: true) == 1)
    #expect(try accuracyAfterTraining(positions: false) == 0.25)
  }
}
