public import Collectives
import Foundation

/// What a training reports to the outside, on rank 0 only.
public struct TrainingReporter {
  /// Called after every logged step.
  public var progress: (Progress) -> Void
  /// Called with one-line messages.
  public var message: (String) -> Void

  /// A reporter out of two functions.
  public init(progress: @escaping (Progress) -> Void, message: @escaping (String) -> Void) {
    self.progress = progress
    self.message = message
  }
}

/// How a training ended.
public enum TrainingEnding: Equatable, Sendable {
  /// All steps of the recipe are done.
  case finished
  /// It stopped where the caller asked for, with a checkpoint.
  case stopped(step: Int)
  /// A signal asked for it; there is a checkpoint.
  case interrupted(signal: Int32, step: Int)
}

/// The loop that every model is trained by: batches in, optimizer steps, metrics, validation, checkpoints.
///
/// A collective object: every rank makes one and calls `run`.
public final class TrainingLoop<Task: TrainingTask> {
  /// Optimizer steps done.
  public private(set) var completedSteps: Int

  private let task: Task
  private let communicator: any Communicator
  private let run: RunConfig
  private let batch: BatchConfig
  private let totalSteps: Int
  private let checkpoints: RunCheckpoints
  private let log: MetricsLog?
  private let reporter: TrainingReporter
  private let interruption: Interruption
  private let badImageCount: () -> Int
  private var pace = Pace()
  /// Sums of this rank's values since the last log line.
  private var interval: [(name: String, sum: Double)] = []
  private var intervalSteps = 0

  /// A loop that starts behind `completedSteps`.
  /// - Parameters:
  ///   - log: The metrics file, on rank 0 only.
  ///   - badImageCount: How many images this rank could not use so far.
  public init(
    task: Task, communicator: any Communicator, run: RunConfig, batch: BatchConfig, totalSteps: Int,
    completedSteps: Int, checkpoints: RunCheckpoints, log: MetricsLog?, reporter: TrainingReporter,
    interruption: Interruption, badImageCount: @escaping () -> Int = { 0 }
  ) {
    self.task = task
    self.communicator = communicator
    self.run = run
    self.batch = batch
    self.totalSteps = totalSteps
    self.completedSteps = completedSteps
    self.checkpoints = checkpoints
    self.log = log
    self.reporter = reporter
    self.interruption = interruption
    self.badImageCount = badImageCount
  }

  /// Trains until the recipe's last step, or until `stop` steps are done. Collective.
  /// - Parameters:
  ///   - nextBatch: This rank's share of the next round.
  ///   - stop: Ends earlier, as if the recipe were finished later.
  public func run(stoppingAt stop: Int? = nil, nextBatch: () throws -> Task.Batch) throws -> TrainingEnding {
    let last = min(totalSteps, max(stop ?? totalSteps, completedSteps))
    while completedSteps < last {
      try step(nextBatch)
      if let stepsPerEpoch = task.stepsPerEpoch, completedSteps % stepsPerEpoch == 0 {
        try report(epoch: completedSteps / stepsPerEpoch)
      }
      if completedSteps % run.logEvery == 0 || completedSteps == totalSteps { try report() }
      if completedSteps == totalSteps || run.validateEvery > 0 && completedSteps % run.validateEvery == 0 {
        try validate()
      }
      let signal = try interruption.agreed(by: communicator)
      if completedSteps % run.checkpointEvery == 0 || completedSteps == last || signal != nil {
        try checkpoints.save(task: task, step: completedSteps, cursor: completedSteps * batch.global)
      }
      if let signal { return .interrupted(signal: signal, step: completedSteps) }
    }
    return completedSteps < totalSteps ? .stopped(step: completedSteps) : .finished
  }

  private func step(_ nextBatch: () throws -> Task.Batch) throws {
    let clock = ContinuousClock()
    let start = clock.now
    for weights in task.weights { weights.arena.startStep() }
    var waited = Duration.zero
    for round in 0..<batch.accumulation {
      let beforeData = clock.now
      let share = try communicator.collectively("reading data for step \(completedSteps + 1)", nextBatch)
      waited += clock.now - beforeData
      let terms = try task.accumulateGradients(share, step: completedSteps, round: round, of: batch.accumulation)
      gather(terms.map { ($0.name, $0.value / Double(batch.accumulation)) })
    }
    for (index, weights) in task.weights.enumerated() {
      let update = try weights.update(step: completedSteps)
      if index == 0 { gather([("gradientNorm", update.gradientNorm), ("learningRate", update.learningRate)]) }
    }
    gather([("dataWaitSeconds", waited / .seconds(1))])
    completedSteps += 1
    intervalSteps += 1
    pace.record(images: batch.global, duration: clock.now - start)
  }

  private func gather(_ terms: [(name: String, value: Double)]) {
    for (name, value) in terms {
      if let index = interval.firstIndex(where: { $0.name == name }) {
        interval[index].sum += value
      } else {
        interval.append((name, value))
      }
    }
  }

  /// Means over the interval and all ranks, to the log and the progress line.
  private func report() throws {
    var sums = interval.map(\.sum)
    try sums.withUnsafeMutableBufferPointer { try communicator.allReduce($0, .mean) }
    var values = zip(interval, sums).map { (name: $0.name, value: $1 / Double(max(intervalSteps, 1))) }
    values += try task.intervalMetrics()
    values.append(("badImages", Double(try communicator.allReduce(Int64(badImageCount()), .sum))))
    interval = []
    intervalSteps = 0
    guard let log else { return }
    var record = MetricsRecord(step: completedSteps, kind: .train, values: [:])
    for (name, value) in values { record.values[name] = value }
    record.values["imagesPerSecond"] = pace.imagesPerSecond
    try log.append(record)
    reporter.progress(
      Progress(
        step: completedSteps, totalSteps: totalSteps,
        terms: values.filter { shownTerms.contains($0.name) }, imagesPerSecond: pace.imagesPerSecond,
        codeUsage: record.values["codesUsed"], timeLeft: pace.timeLeft(steps: totalSteps - completedSteps)))
  }

  private func report(epoch: Int) throws {
    let values = try task.epochMetrics()
    guard let log, !values.isEmpty else { return }
    var record = MetricsRecord(step: completedSteps, kind: .epoch, values: ["epoch": Double(epoch)])
    for (name, value) in values { record.values[name] = value }
    try log.append(record)
  }

  private func validate() throws {
    guard let weights = task.weights.first else { return }
    let values = try weights.withAverage { try task.validate() }
    guard let log, !values.isEmpty else { return }
    try log.append(
      MetricsRecord(step: completedSteps, kind: .validation, values: Dictionary(values.map { ($0, $1) }) { $1 }))
    let text = values.map { "\($0.name) \(String(format: "%.4g", $0.value))" }.joined(separator: ", ")
    reporter.message("validation after step \(completedSteps): \(text)")
  }
}

/// What fits into one line; the log has everything.
private let shownTerms: Set = ["loss", "l1", "sampleEntropy", "batchEntropy", "commitment", "pre", "post"]
