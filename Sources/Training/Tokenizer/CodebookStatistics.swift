import Collectives
import Evaluation
import Foundation
import Tokenizer

/// How a training uses its codebook, over all ranks: since the last report, and since the epoch began.
final class CodebookStatistics {
  private let communicator: any Communicator
  /// This rank's codes that are in none of the others yet.
  private var own: CodebookUsage
  /// Codes of all ranks, the same on every rank.
  private var interval: CodebookUsage
  private var epoch: CodebookUsage
  private var finishedEpoch: CodebookUsage?

  /// Of no codes yet.
  init(codeBits: Int, communicator: any Communicator) {
    self.communicator = communicator
    own = CodebookUsage(codeBits: codeBits)
    interval = own
    epoch = own
  }

  /// Counts codes of this rank.
  func add(_ indices: [Int32]) { own.add(indices) }

  /// Values since the last call. Collective.
  func intervalMetrics() throws -> [(name: String, value: Double)] {
    try gather()
    defer { interval.reset() }
    return interval.metrics
  }

  /// Values since the epoch began, which ends now. Collective.
  func epochMetrics() throws -> [(name: String, value: Double)] {
    try gather()
    defer { epoch.reset() }
    finishedEpoch = epoch
    return epoch.metrics + epoch.bitShares.enumerated().map { ("codeBit\($0.offset)", $0.element) }
  }

  /// Adds up what the ranks counted: integers, so the sums are exact.
  private func gather() throws {
    try own.counts.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .sum) }
    interval.add(own)
    epoch.add(own)
    own.reset()
  }

  /// The epoch's counts so far, for a resumption. Collective.
  func savedState() throws -> String {
    try gather()
    return epoch.packed.base64EncodedString()
  }

  /// Takes back what `savedState` gave.
  /// - Throws: `ConfigError` if that belongs to another codebook.
  func restore(state: String) throws {
    guard let packed = Data(base64Encoded: state), let usage = CodebookUsage(packed: packed, like: epoch) else {
      throw ConfigError(problem: "the checkpoint's codebook statistics do not fit \(epoch.counts.count) codes")
    }
    epoch = usage
  }

  /// How often every code was used in the epoch so far, or in the last one where the next has not begun; nil where
  /// nothing was counted. As log2(1 + uses ÷ mean of all codes), so that it compares however much was counted: 0 is a
  /// dead code, 1 one that is used as often as the mean.
  var distribution: (name: String, values: [Float])? {
    let usage = epoch.total > 0 ? epoch : finishedEpoch ?? epoch
    guard usage.total > 0 else { return nil }
    let mean = Float(usage.total) / Float(usage.counts.count)
    return ("codes/log2(1 + uses÷mean)", usage.counts.map { log2(1 + Float($0) / mean) })
  }

  /// The last finished epoch, or what there is of the first; nil where nothing was counted.
  func picture(title: String) -> CodebookPicture? {
    let usage = finishedEpoch ?? epoch
    return usage.total > 0 ? CodebookPicture(usage: usage, title: title) : nil
  }
}

extension CodebookUsage {
  /// Share used, perplexity, dead codes, the bit furthest from balance, and how many codes were counted.
  var metrics: [(name: String, value: Double)] {
    [
      ("codesUsed", usedShare), ("codePerplexity", perplexity), ("codesDead", Double(deadCount)),
      ("codesCounted", Double(total)), ("codeBitImbalance", bitShares.map { abs($0 - 0.5) }.max() ?? 0),
    ]
  }

  /// Adds another usage's counts.
  mutating func add(_ other: CodebookUsage) {
    for index in counts.indices { counts[index] += other.counts[index] }
  }

  /// The counts with seven bits a byte, the lowest first; the eighth says that more follow.
  var packed: Data {
    var bytes: [UInt8] = []
    for count in counts {
      var rest = UInt64(count)
      while rest > 0x7F {
        bytes.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
    return Data(bytes)
  }

  /// Unpacks counts of as many codes as another usage has; nil if they are not that many.
  init?(packed: Data, like other: CodebookUsage) {
    self = other
    var index = 0
    var (value, shift) = (UInt64(0), UInt64(0))
    for byte in packed {
      guard index < counts.count, shift < 63 else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      shift += 7
      guard byte & 0x80 == 0 else { continue }
      guard let count = Int64(exactly: value) else { return nil }
      counts[index] = count
      index += 1
      (value, shift) = (0, 0)
    }
    guard index == counts.count, shift == 0 else { return nil }
  }
}
