import Foundation

/// The meeting place of loader threads and the training thread: who loads what next, and which batches are ready.
///
/// A thread takes one image at a time, so a batch is spread over all threads; whoever completes the last image of a
/// batch assembles it. Batches are handed out in order, and only `prefetchCount` may be in the making or waiting.
/// All state is guarded by `condition`, hence `@unchecked`.
final class LoaderQueue: @unchecked Sendable {
  /// A finished batch and what was wrong on the way.
  struct Delivery {
    let batch: ImageBatch
    let badImages: [BadImage]
    /// The first position for which no image could be used, in an order that replaces unusable images.
    let lostPosition: Int?
    /// Bytes of encoded images that were read for it.
    let byteCount: Int
  }

  private struct BatchInMaking {
    let positions: Range<Int>
    var results: [ImageLoading.Result?]
    var takenCount = 0
    var finishedCount = 0
  }

  private let loading: ImageLoading
  private let condition = NSCondition()
  private var inMaking: [Int: BatchInMaking] = [:]
  private var ready: [Int: Delivery] = [:]
  /// The batch whose images are being given out.
  private var openStep = 0
  /// The batch that the training thread gets next.
  private var deliveryStep = 0
  /// Which position each busy thread loads, and since when.
  private var loadingNow: [Int: (position: Int, since: ContinuousClock.Instant)] = [:]
  private var isStopped = false
  private var runningThreadCount = 0

  init(loading: ImageLoading) { self.loading = loading }

  /// Starts the loader threads.
  func start(threadCount: Int) {
    condition.withLock { runningThreadCount = threadCount }
    for index in 0..<threadCount {
      let thread = Thread { self.run(thread: index) }
      thread.name = "loader \(index)"
      thread.start()
    }
  }

  /// Ends the threads and waits until they have ended; each finishes the image it is at.
  func stop() {
    condition.withLock {
      isStopped = true
      condition.broadcast()
      while runningThreadCount > 0 { condition.wait() }
    }
  }

  /// Waits for the next batch in order.
  /// - Returns: `nil` when it is not there after `limit`.
  func next(waitingAtMost limit: Duration) -> Delivery? {
    let deadline = Date(timeIntervalSinceNow: limit / .seconds(1))
    return condition.withLock {
      while true {
        if let delivery = ready.removeValue(forKey: deliveryStep) {
          deliveryStep += 1
          condition.broadcast()
          return delivery
        }
        if !condition.wait(until: deadline), ready[deliveryStep] == nil { return nil }
      }
    }
  }

  /// What the threads are at, the longest first.
  func work() -> [DataStall.Work] {
    let busy = condition.withLock { Array(loadingNow.values) }
    return busy.sorted { $0.since < $1.since }.map {
      DataStall.Work(name: loading.name(position: $0.position), duration: $0.since.duration(to: .now))
    }
  }

  private func run(thread: Int) {
    while let work = takeWork(thread: thread) {
      guard let position = work.position else {
        finish(step: work.step, results: [])
        continue
      }
      let result = loading.load(position: position)
      if let results = store(result, step: work.step, slot: work.slot, thread: thread) {
        finish(step: work.step, results: results)
      }
    }
    condition.withLock {
      runningThreadCount -= 1
      condition.broadcast()
    }
  }

  /// Waits for something to do.
  /// - Returns: A position to load, or none for a batch that has no images; `nil` when there is nothing more to do.
  private func takeWork(thread: Int) -> (step: Int, slot: Int, position: Int?)? {
    condition.withLock {
      while !isStopped {
        if let stepCount = loading.plan.stepCount, openStep >= stepCount { return nil }
        guard openStep < deliveryStep + loading.options.prefetchCount else {
          condition.wait()
          continue
        }
        let step = openStep
        let positions = loading.plan.positions(step: step)
        if positions.isEmpty {
          openStep += 1
          return (step, 0, nil)
        }
        var batch =
          inMaking[step]
          ?? BatchInMaking(positions: positions, results: Array(repeating: nil, count: positions.count))
        let slot = batch.takenCount
        batch.takenCount += 1
        inMaking[step] = batch
        if batch.takenCount == positions.count { openStep += 1 }
        loadingNow[thread] = (positions.lowerBound + slot, .now)
        return (step, slot, positions.lowerBound + slot)
      }
      return nil
    }
  }

  /// - Returns: All results of the batch, if this was the last one.
  private func store(
    _ result: ImageLoading.Result, step: Int, slot: Int, thread: Int
  ) -> [ImageLoading.Result]? {
    condition.withLock {
      loadingNow[thread] = nil
      inMaking[step]?.results[slot] = result
      inMaking[step]?.finishedCount += 1
      guard let batch = inMaking[step], batch.finishedCount == batch.positions.count else { return nil }
      inMaking[step] = nil
      return batch.results.compactMap { $0 }
    }
  }

  private func finish(step: Int, results: [ImageLoading.Result]) {
    let positions = loading.plan.positions(step: step)
    let lostSlot = loading.plan.order == .sequential ? nil : results.firstIndex { $0.image == nil }
    let delivery = Delivery(
      batch: loading.batch(of: results, firstPosition: positions.lowerBound),
      badImages: results.flatMap(\.badImages), lostPosition: lostSlot.map { positions.lowerBound + $0 },
      byteCount: results.reduce(0) { $0 + $1.byteCount })
    condition.withLock {
      ready[step] = delivery
      condition.broadcast()
    }
  }
}
