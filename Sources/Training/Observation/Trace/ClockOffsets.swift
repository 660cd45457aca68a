import Collectives
import Foundation

/// How far the clocks of the ranks are from that of rank 0, found by asking each of them the time (Cristian, 1989).
enum ClockOffsets {
  /// What to subtract from a rank's clock to get rank 0's, and half the time of the quickest question and answer, which
  /// bounds its error.
  struct Offset: Codable, Sendable, Equatable {
    var seconds: Double
    var uncertainty: Double
  }

  /// The offsets by rank; the same on every rank. Collective.
  /// - Parameters:
  ///   - rounds: Questions to each rank; the quickest counts.
  ///   - now: This rank's clock in seconds.
  static func measure(_ communicator: any Communicator, rounds: Int = 8, now: () -> Double) throws -> [Offset] {
    var offsets = [Offset(seconds: 0, uncertainty: 0)]
    for rank in 1..<max(1, communicator.worldSize) {
      var best = Offset(seconds: 0, uncertainty: .infinity)
      for _ in 0..<rounds {
        // The question cannot arrive before it was sent, nor the answer before it was given: the answer's time lies
        // between `sent` and `received` of rank 0.
        let sent = now()
        _ = try communicator.broadcast([UInt8](repeating: 0, count: 8), from: 0)
        let answer = try communicator.broadcast(littleEndian(now()), from: rank)
        let received = now()
        let uncertainty = (received - sent) / 2
        if uncertainty < best.uncertainty {
          best = Offset(seconds: number(answer) - (sent + received) / 2, uncertainty: uncertainty)
        }
      }
      offsets.append(best)
    }
    let own = try communicator.broadcast(Array(JSONEncoder().encode(offsets)), from: 0)
    return try JSONDecoder().decode([Offset].self, from: Data(own))
  }

  private static func littleEndian(_ value: Double) -> [UInt8] {
    withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
  }

  private static func number(_ bytes: [UInt8]) -> Double {
    Double(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }
}
