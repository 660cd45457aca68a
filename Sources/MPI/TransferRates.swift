import CMPI
import Collectives
import Foundation

/// How fast an all-reduce of some size ran, by our node-aware path and by MPI's own single call.
public struct TransferRate: Sendable, Equatable {
  /// The size of the array in bytes.
  public let byteCount: Int
  /// The median time of our all-reduce in seconds, on the slowest rank.
  public let seconds: Double
  /// The median time of one `MPI_Allreduce` in seconds, on the slowest rank; nil without MPI.
  public let librarySeconds: Double?

  /// Bytes of the array per second.
  public var bytesPerSecond: Double { Double(byteCount) / seconds }
}

/// The name and version of the MPI library, in one line.
public func libraryVersion() -> String {
  let whole = text(capacity: 1024) { cmpi_library_version($0, $1) }
  return whole.split(separator: ",").first.map(String.init) ?? whole
}

/// Checks an all-reduce of `count` floats against values computed locally; true if it is right on every rank.
/// Collective.
public func allReduceIsCorrect(on communicator: any Communicator, count: Int) throws(CommunicationError) -> Bool {
  // Small integers: their sums are exact in any order.
  var values = (0..<count).map { Float(($0 % 1000) * (communicator.rank + 1)) }
  try communicator.allReduce(&values, .sum)
  let rankSum = communicator.worldSize * (communicator.worldSize + 1) / 2
  let isCorrect = values.indices.allSatisfy { values[$0] == Float(($0 % 1000) * rankSum) }
  return try communicator.agree(all: isCorrect)
}

/// Times the all-reduce of floats of each size, ours and MPI's own in turn, so that a busy machine slows both.
/// Collective.
///
/// - Parameters:
///   - communicator: The ranks that take part.
///   - byteCounts: The sizes of the arrays; a size is rounded down to whole floats.
///   - repetitions: How often each is timed; the median counts.
public func measureTransferRates(
  on communicator: any Communicator, byteCounts: [Int] = [1 << 20, 16 << 20, 100_000_000], repetitions: Int = 5
) throws(CommunicationError) -> [TransferRate] {
  var rates: [TransferRate] = []
  for byteCount in byteCounts {
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, byteCount / MemoryLayout<Float>.stride))
    values.initialize(repeating: 1)
    defer { values.deallocate() }
    var (ours, library): ([Double], [Double]) = ([], [])
    for _ in 0...repetitions {
      ours.append(
        try communicator.slowestTime { () throws(CommunicationError) in
          try communicator.allReduce(values, .sum)
        })
      guard let world = communicator as? MPICommunicator else { continue }
      library.append(
        try communicator.slowestTime { () throws(CommunicationError) in
          try world.allReduceByLibrary(values)
        })
      values.update(repeating: 1)
    }
    // The first round touches memory for the first time.
    rates.append(
      TransferRate(
        byteCount: byteCount, seconds: median(ours.dropFirst()),
        librarySeconds: library.isEmpty ? nil : median(library.dropFirst())))
  }
  return rates
}

extension MPICommunicator {
  /// MPI's own sum in one call: what ours is measured against. Collective.
  package func allReduceByLibrary(_ values: UnsafeMutableBufferPointer<Float>) throws(CommunicationError) {
    guard let base = values.baseAddress else { return }
    try check(cmpi_all_reduce_sum(topology.world.raw, base, Int32(values.count)), "MPI_Allreduce", rank)
  }
}

private func median(_ values: some Collection<Double>) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}
