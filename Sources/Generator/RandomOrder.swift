import Glibc
import Tensors

/// Generation in random order (Pang et al., "RandAR", 2025): the sequence is
/// [class, instruction 0, token 0, instruction 1, token 1, …], and what comes out at an instruction predicts the token
/// behind it (method section 2.3).
public enum RandomOrder {
  /// Merged tokens and the raster cells of their representatives, in an order of generation.
  public struct Arrangement: Sendable, Equatable {
    /// `B·K` codes.
    public var codes: CodePairs
    /// `B·K` cells.
    public var cells: [Int32]
  }

  /// Puts merged tokens into an order of generation.
  /// - Parameters:
  ///   - codes: `B·K` codes as the tokenizer gives them.
  ///   - groups: The token that every position belongs to, `B·L` numbers in `0..<K`.
  ///   - orders: `B` permutations of `0..<K`, see `TrainingDraws.orders`.
  ///   - batch: B.
  public static func arrangement(
    _ codes: CodePairs, groups: [Int32], orders: [Int32], batch: Int
  ) -> Arrangement {
    let (keep, length) = (codes.count / max(1, batch), groups.count / max(1, batch))
    require(orders.count == codes.count, "arrangement: \(orders.count) places for \(codes.count) codes")
    var result = Arrangement(codes: CodePairs(), cells: [])
    for sample in 0..<batch {
      var firsts = [Int32](repeating: 0, count: keep)
      for position in (0..<length).reversed() { firsts[Int(groups[sample * length + position])] = Int32(position) }
      for place in orders[sample * keep..<(sample + 1) * keep] {
        result.codes.pre.append(codes.pre[sample * keep + Int(place)])
        result.codes.post.append(codes.post[sample * keep + Int(place)])
        result.cells.append(firsts[Int(place)])
      }
    }
    return result
  }

  /// How many tokens each step of parallel decoding adds: one at first, more and more towards the end.
  ///
  /// After step s of T, ⌊(1 − cos(π/2·(s + 1)/T))·N + 1⌋ tokens are there; every step adds at least one, the last one the
  /// rest. There may be fewer steps than asked for.
  /// - Parameters:
  ///   - tokens: N.
  ///   - steps: T.
  public static func schedule(tokens: Int, steps: Int) -> [Int] {
    var result: [Int] = []
    var done = 0
    for step in 0..<max(1, steps) where done < tokens {
      let share = 1 - cos(.pi / 2 * Double(step + 1) / Double(steps))
      let target = step + 1 >= steps ? tokens : step == 0 ? 1 : Int((share * Double(tokens) + 1).rounded(.down))
      let count = min(max(target - done, 1), tokens - done)
      result.append(count)
      done += count
    }
    return result
  }

  /// Cells to generate where nobody says which: the first cell, which always represents its group, and others by chance,
  /// in random order.
  /// - Parameters:
  ///   - count: How many.
  ///   - shares: For every position, the share of training images in which it represents its group: cells are drawn one
  ///     after another with probabilities proportional to the odds of these shares.
  ///   - seed: With the image, it decides the draw.
  ///   - image: The image's number in the whole run.
  public static func cells(count: Int, shares: [Float], seed: UInt64, image: Int) -> [Int32] {
    var random = SplitMix64(seed: seed, 0x6365_6c6c, UInt64(image))
    // The largest of log-odds plus Gumbel noise are such a draw without replacement.
    let keys = shares.map { share -> Float in
      let noise = -log(-log(max(random.nextUnit(), 0x1p-24)))
      let bounded = min(max(share, 1e-6), 1 - 1e-6)
      return log(bounded / (1 - bounded)) + noise
    }
    let others = (1..<shares.count).sorted { keys[$0] > keys[$1] }.prefix(max(0, count - 1))
    return ([0] + others.map { Int32($0) }).shuffled(using: &random)
  }

  /// As `cells(count:shares:seed:image:)`, with all positions alike.
  public static func cells(count: Int, of positions: Int, seed: UInt64, image: Int) -> [Int32] {
    cells(count: count, shares: Array(repeating: 0.5, count: positions), seed: seed, image: image)
  }
}

extension Transformer {
  /// Logits of tokens in an order of generation.
  /// - Parameters:
  ///   - codes: `B·K` codes in the order of generation.
  ///   - classes: `B` classes.
  ///   - cells: `B·K` raster cells.
  ///   - draws: Dropout, in training.
  /// - Precondition: The order is `random`.
  public func randomOrder(
    _ codes: CodePairs, classes: [Int32], cells: [Int32], draws: TrainingDraws? = nil
  ) -> Logits {
    let (batch, count) = (classes.count, codes.count / max(1, classes.count))
    require(
      codes.count == count * batch && cells.count == codes.count && count > 0,
      "randomOrder: \(codes.count) codes and \(cells.count) cells for \(batch) classes")
    // [class, I, t, I, t, …, I, t]; the last token predicts nothing.
    let pairs = joined([
      instructions(cells).reshaped([batch * count, 1, config.width]),
      embedded(codes, batch: batch).reshaped([batch * count, 1, config.width]),
    ]).reshaped([batch, 2 * count, config.width])
    let x = joined([embedded(classes: classes), pairs])
    var rows: [Int32] = []
    for sample in 0..<batch {
      rows.append(0)
      for cell in cells[sample * count..<(sample + 1) * count] { rows += [1 + cell, 1 + cell] }
    }
    let h = sequence(x, rows: rows, mask: .causal, draws: draws)
    // Position 1 + 2n holds instruction n: the first of every pair.
    let outputs = h.tokens(1..<1 + 2 * count).reshaped([batch * count, 2, config.width]).tokens(0..<1)
    return logits(outputs.reshaped([batch, count, config.width]), pre: codes.pre, draws: draws)
  }

  /// Position instruction tokens: the shared vector, its heads turned by each cell's angles. Inside attention they are
  /// turned once more, as queries and keys, as in the published weights.
  /// - Returns: Shape `[cells.count, D]`.
  func instructions(_ cells: [Int32]) -> Tensor {
    guard let positionInstruction else { fatalError("instructions: order \(config.order) has none") }
    return rotary(
      repeated(positionInstruction.value, count: cells.count), rotatedHeads: config.heads, table: table,
      rows: cells.map { 1 + $0 })
  }
}
