import Collectives
import Foundation
import Optimizers
import Tensors

/// Reduces the gradients of one set of weights bucket by bucket, on a thread of its own, while the backward pass computes
/// the others (Li et al., 2020: "PyTorch Distributed", section 3.2.3).
///
/// Every value is summed over the ranks in the same order as in one reduction of all, so the bits are the same. Buckets
/// go out in the order of their plan, which is the same on every rank, whatever order they become complete in. What is
/// left when all ranks have finished the backward pass goes out at once: a bucket belongs to one rank or two, towards
/// which all others send, so R nodes take R times as long for one after the other as for all together.
///
/// All but the thread's loop runs on the thread that trains. A step is `startStep`, an announcing `backward`,
/// `submitRest`, `wait`.
final class OverlappedReduction: @unchecked Sendable {
  private let arena: ParameterArena
  private let plan: ShardPlan
  private let format: WireFormat
  private let communicator: any Communicator
  private let trace: CommunicationTrace
  private let buckets: BucketPlan
  private let bucketOfEntry: [Int]

  /// Parameters of every bucket whose gradients are not complete.
  private var missing: [Int] = []
  private var submittedCount = 0
  private var localSumOfSquares = 0.0
  private var waited = Duration.zero

  /// Guards what follows, which both threads use.
  private let condition = NSCondition()
  /// Buckets that are reduced, and those that are complete beyond them.
  private var (reducedCount, waitingCount) = (0, 0)
  private var busy = Duration.zero
  private var failure: CommunicationError?
  private var isStopped = false

  /// Starts the thread. Not collective.
  /// - Parameters:
  ///   - weights: Whose gradients announce themselves here from now on.
  ///   - bucketBytes: See `BucketPlan`; the same on every rank.
  ///   - communicator: For the thread alone from now on: operations on other communicators may run meanwhile.
  ///   - trace: Notes the time for which training waits.
  init(_ weights: ShardedWeights, bucketBytes: Int, communicator: any Communicator, trace: CommunicationTrace) {
    arena = weights.arena
    plan = weights.plan
    format = weights.gradientFormat
    self.communicator = communicator
    self.trace = trace
    let buckets = BucketPlan(
      parameterCounts: arena.entries.map(\.range.count),
      minimumCount: max(1, bucketBytes / MemoryLayout<Float>.stride))
    self.buckets = buckets
    bucketOfEntry = arena.entries.map { buckets.bucketIndex(containing: $0.range.lowerBound) ?? 0 }
    startStep()
    arena.announceGradients { [unowned self] in complete($0) }
    let thread = Thread { [self] in work() }
    thread.name = "reduction"
    thread.start()
  }

  /// How many buckets there are.
  var bucketCount: Int { buckets.ranges.count }

  /// How long reductions took since the start while training did not wait for them.
  var hiddenDuration: Duration { max(.zero, condition.withLock { busy } - waited) }

  /// Ends the thread once it has nothing to do; the gradients announce nothing any more.
  func stop() {
    arena.announceGradients(nil)
    condition.withLock {
      isStopped = true
      condition.broadcast()
    }
  }

  /// Forgets the last step, which must have been waited for, or have submitted nothing.
  func startStep() {
    missing = [Int](repeating: 0, count: bucketCount)
    for bucket in bucketOfEntry { missing[bucket] += 1 }
    submittedCount = 0
    localSumOfSquares = 0
    condition.withLock { reducedCount = 0 }
  }

  private func complete(_ entry: Int) {
    missing[bucketOfEntry[entry]] -= 1
    while submittedCount < bucketCount && missing[submittedCount] == 0 { submitNext() }
  }

  /// Submits what the backward pass has not announced; returns the sum of squares of all of this rank's own gradients.
  /// - Precondition: All gradients are complete.
  func submitRest() -> Double {
    while submittedCount < bucketCount { submitNext() }
    return localSumOfSquares
  }

  private func submitNext() {
    localSumOfSquares += GradientClipping.sumOfSquares(UnsafeBufferPointer(gradients(ofBucket: submittedCount)))
    condition.withLock {
      waitingCount += 1
      condition.broadcast()
    }
    submittedCount += 1
  }

  /// Waits until this rank's range holds the mean of the gradients over the ranks.
  func wait() throws(CommunicationError) {
    let start = ContinuousClock.now
    defer { waited += ContinuousClock.now - start }
    try trace.note("reduceScatter of \(plan.count) values in \(bucketCount) buckets") { () throws(CommunicationError) in
      condition.lock()
      defer { condition.unlock() }
      while reducedCount < bucketCount && failure == nil { condition.wait() }
      if let failure { throw failure }
    }
  }

  private func gradients(ofBucket index: Int) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(rebasing: arena.gradients[buckets.ranges[index]])
  }

  private func work() {
    while let (index, isLast) = next() {
      let start = ContinuousClock.now
      do throws(CommunicationError) {
        let end = buckets.ranges[index].upperBound
        let takesRest = isLast ? false : try communicator.agree(all: isSubmitted)
        let range = takesRest ? 0..<end : buckets.ranges[index]
        try communicator.reduceScatter(
          UnsafeMutableBufferPointer(rebasing: arena.gradients[range]), ranges: plan.ranges(within: range), .mean,
          format: format)
        finish(takesRest ? bucketCount : index + 1, nil, since: start)
      } catch {
        return finish(index, error, since: start)
      }
    }
  }

  /// Whether the gradients of this rank are complete, down to the last bucket.
  private var isSubmitted: Bool { condition.withLock { reducedCount + waitingCount == bucketCount } }

  /// Waits for the next bucket; nil when there is none to come.
  private func next() -> (index: Int, isLast: Bool)? {
    condition.withLock {
      while waitingCount == 0 && !isStopped { condition.wait() }
      return waitingCount == 0 ? nil : (reducedCount, reducedCount + 1 == bucketCount)
    }
  }

  private func finish(_ count: Int, _ error: CommunicationError?, since start: ContinuousClock.Instant) {
    condition.withLock {
      busy += ContinuousClock.now - start
      waitingCount -= count - reducedCount
      reducedCount = count
      failure = failure ?? error
      condition.broadcast()
    }
  }
}

extension OverlappedReduction {
  /// What is worth sending at a time: the smallest of a few sizes whose reduction runs at nine tenths of the best rate.
  /// Collective; the same on every rank.
  /// - Parameter limit: Bytes of all gradients.
  static func measuredBucketBytes(_ communicator: any Communicator, limit: Int) throws(CommunicationError) -> Int {
    let sizes = (18...24).map { 1 << $0 }.filter { $0 < limit }
    guard let largest = sizes.last else { return max(limit, 4) }
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: largest / 4)
    values.initialize(repeating: 1)
    defer { values.deallocate() }
    var rates: [Double] = []
    for size in sizes {
      let part = UnsafeMutableBufferPointer(rebasing: values[..<(size / 4)])
      let ranges = ShardPlan(count: part.count, shardCount: communicator.worldSize).ranges
      var best = Double.infinity
      for _ in 0..<3 {
        best = min(
          best,
          try communicator.slowestTime { () throws(CommunicationError) in
            try communicator.reduceScatter(part, ranges: ranges, .mean)
          })
      }
      rates.append(Double(size) / best)
    }
    let enough = 0.9 * (rates.max() ?? 0)
    return zip(sizes, rates).first { $0.1 >= enough }?.0 ?? largest
  }
}
