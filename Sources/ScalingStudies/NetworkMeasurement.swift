public import Collectives
import Foundation
import Scaling

/// Times on the ranks of a job what a training step does with its gradients and weights.
public enum NetworkMeasurement {
  /// Median seconds of a reduce-scatter and an all-gather of arrays of each size, on the slowest rank. Collective.
  /// - Parameters:
  ///   - communicator: The ranks that exchange.
  ///   - byteCounts: The sizes in bytes; a large one tells what the network bears for long, a tiny one its latency.
  ///   - repetitions: How often each is timed, after once that does not count.
  public static func exchanges(
    on communicator: any Communicator, byteCounts: [Int], repetitions: Int
  ) throws(CommunicationError) -> [(byteCount: Int, seconds: Double)] {
    var result: [(byteCount: Int, seconds: Double)] = []
    for byteCount in byteCounts {
      let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, byteCount / MemoryLayout<Float>.stride))
      values.initialize(repeating: 0)
      defer { values.deallocate() }
      let ranges = ShardPlan(count: values.count, shardCount: communicator.worldSize).ranges
      var times: [Double] = []
      for _ in 0...repetitions {
        // A step computes before it exchanges, and TCP starts slowly again after 0.2 s of silence.
        Thread.sleep(forTimeInterval: 0.4)
        times.append(
          try communicator.slowestTime { () throws(CommunicationError) in
            try communicator.reduceScatter(values, ranges: ranges, .mean)
            try communicator.allGather(values, ranges: ranges)
          })
      }
      result.append((byteCount, median(Array(times.dropFirst()))))
    }
    return result
  }
}
