import LinkDelay
import Testing

@Suite struct FrameQueueTests {
  /// A linear congruential generator: the same sizes in every run.
  private struct Sizes {
    var state: UInt64 = 1
    mutating func next(below limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
  }

  @Test(arguments: [0, 200_000, 1_000_001])
  func framesLeaveInTheirOrderAndUnchangedHoweverOftenTheQueueGoesRound(byteLimit: Int) {
    var queue = FrameQueue(byteLimit: byteLimit)
    var sizes = Sizes()
    var expected: [(departure: UInt64, count: Int)] = []
    var refused = 0
    for turn in 0..<20_000 {
      if sizes.next(below: 100) < 55 {
        // Every fourth frame is as large as possible, so that the end of the memory is met in many places.
        let count = turn.isMultiple(of: 4) ? FrameQueue.largestFrame : 1 + sizes.next(below: 1600)
        if let room = queue.room {
          room.copyBytes(from: repeatElement(UInt8(truncatingIfNeeded: turn), count: count))
          queue.append(count: count, departure: UInt64(turn))
          expected.append((UInt64(turn), count))
        } else {
          refused += 1
        }
      } else if let (departure, count) = expected.first {
        #expect(queue.nextDeparture == departure)
        #expect(queue.next.elementsEqual(repeatElement(UInt8(truncatingIfNeeded: departure), count: count)))
        queue.removeFirst()
        expected.removeFirst()
      }
      if expected.isEmpty { #expect(queue.nextDeparture == nil) }
    }
    #expect(refused > 0)
  }

  @Test func aFullQueueHoldsWhatItsLimitSays() {
    var queue = FrameQueue(byteLimit: 10 << 20)
    var count = 0
    while queue.room != nil {
      queue.append(count: 1500, departure: 0)
      count += 1
    }
    // 16 bytes beside a frame, a multiple of 16; the largest frame must still fit at the end.
    let used = count * 1520
    #expect(used <= 10 << 20)
    #expect(used > 10 << 20 - 2 * FrameQueue.largestFrame)
  }

  @Test func timesAreReadAsTcReadsThem() {
    #expect(nanoseconds("2ms") == 2_000_000)
    #expect(nanoseconds("500us") == 500_000)
    #expect(nanoseconds("0.1s") == 100_000_000)
    for wrong in ["", "2", "ms", "-1ms", "0us", "nans", "infs", "61s", "2 ms", "2m"] {
      #expect(nanoseconds(wrong) == nil, "\(wrong)")
    }
  }
}
