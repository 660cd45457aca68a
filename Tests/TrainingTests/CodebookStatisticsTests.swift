import Collectives
import Foundation
import Testing
import Tokenizer

@testable import Training

/// What a training tells about its codebook.
struct CodebookStatisticsTests {
  private func statistics(codeBits: Int = 3) -> CodebookStatistics {
    CodebookStatistics(codeBits: codeBits, communicator: SingleCommunicator())
  }

  private func value(_ name: String, of metrics: [(name: String, value: Double)]) -> Double? {
    metrics.first { $0.name == name }?.value
  }

  @Test func intervalsAndEpochsCountEveryCodeOnceEach() throws {
    let codebook = statistics()
    codebook.add([0, 1, 1, 7])
    let first = try codebook.intervalMetrics()
    #expect(value("codesCounted", of: first) == 4)
    #expect(value("codesUsed", of: first) == 0.375)
    #expect(value("codesDead", of: first) == 5)
    // Bit 0 is set in three of four, the others in one.
    #expect(value("codeBitImbalance", of: first) == 0.25)
    codebook.add([2, 2])
    let epoch = try codebook.epochMetrics()
    #expect(value("codesCounted", of: epoch) == 6)
    #expect(value("codeBit1", of: epoch) == 0.5)
    // The interval goes on across the epoch's end.
    codebook.add([3])
    let (interval, next) = (try codebook.intervalMetrics(), try codebook.epochMetrics())
    #expect(value("codesCounted", of: interval) == 3)
    #expect(value("codesCounted", of: next) == 1)
  }

  @Test func theDistributionComparesUsesWithTheirMeanAndOutlivesItsEpoch() throws {
    let codebook = statistics(codeBits: 2)
    #expect(codebook.distribution == nil)
    codebook.add([0, 0, 0, 1])
    _ = try codebook.epochMetrics()
    // One use of each of the four codes is the mean.
    #expect(codebook.distribution?.values == [2, 1, 0, 0])
    codebook.add([Int32](repeating: 3, count: 8))
    _ = try codebook.intervalMetrics()
    #expect(codebook.distribution?.values == [0, 0, 0, log2(5)])
  }

  @Test func aResumedEpochGoesOnCounting() throws {
    let codebook = statistics(codeBits: 10)
    for code in 0..<5000 { codebook.add([Int32(code * code % 1023)]) }
    let state = try codebook.savedState()
    let resumed = statistics(codeBits: 10)
    try resumed.restore(state: state)
    resumed.add([5])
    codebook.add([5])
    let (expected, found) = (try codebook.epochMetrics(), try resumed.epochMetrics())
    for (own, other) in zip(expected, found) { #expect(own == other) }
    #expect(value("codesCounted", of: found) == 5001)
    #expect(throws: ConfigError.self) { try statistics(codeBits: 9).restore(state: state) }
    #expect(throws: ConfigError.self) { try resumed.restore(state: "no base64!") }
  }

  @Test func countsOfAnySizeSurvivePacking() throws {
    var usage = CodebookUsage(codeBits: 2)
    usage.counts = [0, 127, 128, .max]
    let empty = CodebookUsage(codeBits: 2)
    func unpacked(_ bytes: Data) -> CodebookUsage? { CodebookUsage(packed: bytes, like: empty) }
    let packed: Data = usage.packed
    #expect(unpacked(packed) == usage)
    #expect(unpacked(packed.dropLast()) == nil)
    var longer = packed
    longer.append(1)
    #expect(unpacked(longer) == nil)
    #expect(unpacked(Data(repeating: 0xFF, count: 40)) == nil)
  }
}
