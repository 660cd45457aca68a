import Collectives
import Foundation
import Kernels

/// How fast a rank computes, and how much memory that took.
public struct ComputeRate: Codable, Sendable, Equatable {
  /// Billions of floating-point operations per second of a step's whole time, waiting included, as `OperationCount`
  /// counts them: convolutions as direct sums, so that Winograd's filtering can go beyond what the processor computes.
  public var gflops: Double
  /// The same of a 1024³ matrix product on all threads of the rank, timed at the start while all other ranks did so too.
  public var peakGFLOPS: Double
  /// The most memory that the process ever held, in bytes; nil if the system does not tell.
  public var peakMemory: Int?

  /// The most memory that this process ever held, in bytes.
  // Not getrusage, whose maximum begins with that of the process that started this one.
  static var peakMemoryOfProcess: Int? { memoryOfProcess("VmHWM") }

  /// The memory that this process holds, in bytes.
  static var memoryOfProcess: Int? { memoryOfProcess("VmRSS") }

  private static func memoryOfProcess(_ field: String) -> Int? {
    RankFacts.field(field, in: "/proc/self/status").flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }
      .map { $0 * 1024 }
  }

  /// What the metrics say about all ranks together. Collective.
  func values(_ communicator: any Communicator) throws(CommunicationError) -> [(name: String, value: Double)] {
    var sums = [gflops, peakGFLOPS]
    try communicator.allReduce(&sums, .sum)
    let memory = try communicator.allReduce(Int64(peakMemory ?? 0), .max)
    return [
      ("gflops", sums[0]), ("peakGFLOPS", sums[1]), ("peakShare", sums[1] > 0 ? sums[0] / sums[1] : 0),
      ("peakMemoryOfFullestRank", Double(memory)),
    ]
  }
}
