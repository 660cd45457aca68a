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
  private var isStopped = false
  private var runningThreadCount = 0

  init(loading: ImageLoading) { self.loading = loading }

  /// Starts the loader threads.
  func start(threadCount: Int) {
    condition.withLock { runningThreadCount = threadCount }
    for index in 0..<threadCount {
      let thread = Thread { self.run() }
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
  func next() -> Delivery {
    condition.withLock {
      while true {
        if let delivery = ready.removeValue(forKey: deliveryStep) {
          deliveryStep += 1
          condition.broadcast()
          return delivery
        }
        condition.wait()
      }
    }
  }

  private func run() {
    while let work = takeWork() {
      guard let position = work.position else {
        finish(step: work.step, results: [])
        continue
      }
      let result = loading.load(position: position)
      if let results = store(result, step: work.step, slot: work.slot) { finish(step: work.step, results: results) }
    }
    condition.withLock {
      runningThreadCount -= 1
      condition.broadcast()
    }
  }

  /// Waits for something to do.
  /// - Returns: A position to load, or none for a batch that has no images; `nil` when there is nothing more to do.
  private func takeWork() -> (step: Int, slot: Int, position: Int?)? {
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
        return (step, slot, positions.lowerBound + slot)
      }
      return nil
    }
  }

  /// - Returns: All results of the batch, if this was the last one.
  private func store(_ result: ImageLoading.Result, step: Int, slot: Int) -> [ImageLoading.Result]? {
    condition.withLock {
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
      badImages: results.flatMap(\.badImages), lostPosition: lostSlot.map { positions.lowerBound + $0 })
    condition.withLock {
      ready[step] = delivery
      condition.broadcast()
    }
  }
}
