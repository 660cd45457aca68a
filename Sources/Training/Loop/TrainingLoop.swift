import Collectives
import Foundation

/// What a training reports to the outside.
public struct TrainingReporter {
  /// Called after every logged step, on rank 0 only.
  public var progress: (Progress) -> Void
  /// Called with one-line messages: on rank 0, and on another rank only where that one has trouble of its own.
  public var message: (String) -> Void
  /// Called with the reason for which a rank's monitor ends the job, on one rank, on another thread.
  public var alarm: @Sendable (String) -> Void

  /// A reporter out of its functions.
  public init(
    progress: @escaping (Progress) -> Void, message: @escaping (String) -> Void,
    alarm: @escaping @Sendable (String) -> Void
  ) {
    self.progress = progress
    self.message = message
    self.alarm = alarm
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
final class TrainingLoop<Task: TrainingTask> {
  /// How `run` ended.
  enum Ending: Equatable {
    case ended(TrainingEnding)
    /// The loss or gradients of this step (counted from 0) were not finite; nothing was applied, and the run is to go
    /// back to its newest checkpoint.
    case mustRollBack(step: Int)
  }

  /// What a loop works with.
  struct Environment {
    let communicator: any Communicator
    let run: RunConfig
    let batch: BatchConfig
    let totalSteps: Int
    let directory: RunDirectory
    let checkpoints: RunCheckpoints
    /// The metrics file, on rank 0 only.
    let log: MetricsLog?
    let reporter: TrainingReporter
    let interruption: Interruption
    let monitor: RankMonitor
    /// Steps (counted from 0) that are known to give no finite gradients: their images are passed over.
    var excludedSteps: Set<Int> = []
    /// Called when the first steps are done.
    var stopChecking: () -> Void = {}
  }

  /// Optimizer steps done.
  private(set) var completedSteps: Int

  private let task: Task
  private let environment: Environment
  private let source: any BatchSource<Task.Batch>
  private let hosts: [String]
  private let firstStep: Int
  private var pace = Pace()
  private var interval = IntervalSums()
  private var skippedInARow = 0
  /// Steps that were skipped since this start.
  private var skippedSteps = 0
  /// Hosts that were slow in the last interval, and those that the user has been told of.
  private var slowHosts: Set<String> = []
  private var reportedHosts: Set<String> = []

  private var communicator: any Communicator { environment.communicator }
  private var run: RunConfig { environment.run }
  private var batch: BatchConfig { environment.batch }
  private var checkpoints: RunCheckpoints { environment.checkpoints }

  /// A loop that starts behind `completedSteps`. Collective.
  init(task: Task, source: any BatchSource<Task.Batch>, completedSteps: Int, _ environment: Environment) throws {
    self.task = task
    self.source = source
    self.completedSteps = completedSteps
    self.environment = environment
    firstStep = completedSteps
    hosts = try environment.communicator.allGather(environment.communicator.hostName)
    environment.monitor.completed(step: completedSteps)
    environment.checkpoints.reserveMemory(for: task)
  }

  /// Trains until the recipe's last step, or until `stop` steps are done. Collective.
  ///
  /// Whatever ends it in good order, a checkpoint that is being written is finished first.
  /// - Parameter stop: Ends earlier, as if the recipe were finished later.
  func run(stoppingAt stop: Int? = nil) throws -> Ending {
    let last = min(environment.totalSteps, max(stop ?? environment.totalSteps, completedSteps))
    do {
      while completedSteps < last {
        if let step = try self.step() {
          try finishCheckpoint()
          return .mustRollBack(step: step)
        }
        if completedSteps - firstStep == run.faults.checkedSteps { environment.stopChecking() }
        if let stepsPerEpoch = task.stepsPerEpoch, completedSteps % stepsPerEpoch == 0 {
          try report(epoch: completedSteps / stepsPerEpoch)
        }
        if completedSteps % run.logEvery == 0 || completedSteps == environment.totalSteps { try report() }
        if completedSteps == environment.totalSteps || run.validateEvery > 0 && completedSteps % run.validateEvery == 0
        {
          try validate()
        }
        let signal = try keepCheckpoints(isLast: completedSteps == last)
        if let signal { return .ended(.interrupted(signal: signal, step: completedSteps)) }
      }
    } catch let error as any AgreedError {
      // All ranks are in step and will end; what they have saved should count.
      try finishCheckpoint()
      throw error
    }
    return .ended(completedSteps < environment.totalSteps ? .stopped(step: completedSteps) : .finished)
  }

  /// Starts a checkpoint if one is due, or takes the one that is being written further; returns the signal on which
  /// the run must end. The ranks agree on signals and on the writers' progress in one exchange.
  private func keepCheckpoints(isLast: Bool) throws -> Int32? {
    var state = [Int64(environment.interruption.own), checkpoints.isBusy ? 1 : 0]
    try communicator.allReduce(&state, .max)
    let signal = state[0] == 0 ? nil : Int32(state[0])
    let isDue = run.checkpointEvery > 0 && (completedSteps % run.checkpointEvery == 0 || isLast)
    if isDue || signal != nil {
      environment.monitor.enter("copying the checkpoint of step \(completedSteps)")
      let duration = try checkpoints.begin(
        task: task, step: completedSteps, cursor: completedSteps * batch.global)
      interval.add([("checkpointCopySeconds", duration / .seconds(1))])
    } else if state[1] == 0 {
      try checkpoints.advance()
    }
    if isLast || signal != nil { try finishCheckpoint() }
    return signal
  }

  private func finishCheckpoint() throws {
    environment.monitor.enter("writing a checkpoint")
    try checkpoints.finish()
  }

  /// One optimizer step; returns its number, counted from 0, if the run must go back because of it.
  private func step() throws -> Int? {
    let start = ContinuousClock.now
    let waitedBefore = environment.monitor.trace.position.waited
    var terms = IntervalSums()
    var data = Duration.zero
    var samples: [Int] = []
    let isExcluded = environment.excludedSteps.contains(completedSteps)
    for weights in task.weights { weights.startStep() }
    for round in 0..<batch.accumulation {
      environment.monitor.enter("reading data")
      let share = try communicator.collectively("reading data for step \(completedSteps + 1)") {
        let start = ContinuousClock.now
        defer { data += ContinuousClock.now - start }
        return try source.next()
      }
      samples += share.sampleIndices
      guard !isExcluded else { continue }
      environment.monitor.enter("forward and backward")
      let values = try task.accumulateGradients(share, step: completedSteps, round: round, of: batch.accumulation)
      terms.add(values.map { ($0.name, $0.value / Double(batch.accumulation)) })
    }
    if isExcluded {
      skip()
    } else if let sums = try agreedSums(terms, samples: samples) {
      environment.monitor.enter("updating the weights")
      for (index, weights) in task.weights.enumerated() {
        let update = try weights.update(step: completedSteps, sumOfSquares: sums[index])
        if index == 0 { terms.add([("gradientNorm", update.gradientNorm), ("learningRate", update.learningRate)]) }
      }
      interval.add(terms)
      skippedInARow = 0
    } else if run.faults.nonFinite == .rollback {
      return completedSteps
    } else {
      skip()
    }
    let total = ContinuousClock.now - start
    let communication = environment.monitor.trace.position.waited - waitedBefore
    interval.add(
      StepTimes(
        work: (total - data - communication) / .seconds(1), data: data / .seconds(1),
        communication: communication / .seconds(1)))
    completedSteps += 1
    environment.monitor.completed(step: completedSteps)
    pace.record(images: batch.global, duration: total)
    return nil
  }

  private func skip() {
    for weights in task.weights { weights.skipUpdate() }
    skippedSteps += 1
  }

  /// The squared norms of the gradients of every set of weights over all ranks; nil, on every rank alike, if a loss or
  /// a gradient of any rank is not finite and the step must not be applied.
  /// - Throws: `TrainingError` if the run must end for that.
  private func agreedSums(_ terms: IntervalSums, samples: [Int]) throws -> [Double]? {
    environment.monitor.enter("reducing gradients")
    let lossIsFinite = terms.areFinite
    let gradientsAreFinite = task.weights.allSatisfy { $0.localSumOfSquares().isFinite }
    var sums = try task.weights.map { try $0.reduceGradients() }
    sums.append(lossIsFinite ? 0 : .nan)
    try communicator.allReduce(&sums, .sum)
    if sums.allSatisfy(\.isFinite) { return Array(sums.dropLast()) }

    task.discardStep()
    skippedInARow += 1
    let record = NonFiniteRecord(
      step: completedSteps + 1, rank: communicator.rank, host: communicator.hostName, lossIsFinite: lossIsFinite,
      gradientsAreFinite: gradientsAreFinite, samples: samples, action: run.faults.nonFinite)
    let isConcerned = !lossIsFinite || !gradientsAreFinite
    let reports = try communicator.allGather(bytes: isConcerned ? Array(JSONEncoder().encode(record)) : [])
    let records = try reports.filter { !$0.isEmpty }.map {
      try JSONDecoder().decode(NonFiniteRecord.self, from: Data($0))
    }
    try communicator.collectively("logging samples") {
      if communicator.isFirst { try NonFiniteRecord.append(records, to: environment.directory.nonFinitePath) }
    }
    // Finite gradients of every rank may still add up to an infinity.
    let detail = records.isEmpty ? "the gradients overflow" : records.map(\.text).joined(separator: "; ")
    if run.faults.nonFinite == .stop || skippedInARow > run.faults.nonFiniteInARow {
      throw TrainingError.nonFinite(step: completedSteps + 1, inARow: skippedInARow, detail: detail)
    }
    if communicator.isFirst {
      environment.reporter.message("step \(completedSteps + 1): \(detail); \(run.faults.nonFinite.consequence)")
    }
    return nil
  }

  /// Means over the interval and all ranks, to the log and the progress line; who is slow.
  private func report() throws {
    environment.monitor.enter("reporting")
    let means = try interval.means(communicator)
    let times = try interval.times(of: communicator)
    environment.monitor.measured(times[communicator.rank])
    let stragglers = StragglerReport(times: times, hosts: hosts)
    var values = means + (try task.intervalMetrics())
    values.append(("badImages", Double(try communicator.allReduce(Int64(source.badImageCount), .sum))))
    values.append(("dataBytes", Double(try communicator.allReduce(Int64(source.byteCount), .sum))))
    values.append(("dataBytesOfBusiestRank", Double(try communicator.allReduce(Int64(source.byteCount), .max))))
    values.append(("skippedSteps", Double(skippedSteps)))
    values += stragglers.values
    if run.logRanks { values += times.enumerated().flatMap { $1.values(ofRank: $0) } }
    interval = IntervalSums()
    guard let log = environment.log else { return }
    var record = MetricsRecord(step: completedSteps, kind: .train, values: [:])
    for (name, value) in values { record.values[name] = value }
    record.values["imagesPerSecond"] = pace.imagesPerSecond
    try log.append(record)
    environment.reporter.progress(
      Progress(
        step: completedSteps, totalSteps: environment.totalSteps,
        terms: values.filter { shownTerms.contains($0.name) }, imagesPerSecond: pace.imagesPerSecond,
        codeUsage: record.values["codesUsed"],
        timeLeft: pace.timeLeft(steps: environment.totalSteps - completedSteps)))
    // Said once, not at every line of the log, and not of a host that was only disturbed for a moment.
    let hosts = Set(stragglers.slowHosts.map(\.host))
    if let message = stragglers.message(), hosts == slowHosts, hosts != reportedHosts {
      environment.reporter.message(message)
      reportedHosts = hosts
    }
    slowHosts = hosts
  }

  private func report(epoch: Int) throws {
    let values = try task.epochMetrics()
    guard let log = environment.log, !values.isEmpty else { return }
    var record = MetricsRecord(step: completedSteps, kind: .epoch, values: ["epoch": Double(epoch)])
    for (name, value) in values { record.values[name] = value }
    try log.append(record)
  }

  private func validate() throws {
    guard let weights = task.weights.first else { return }
    environment.monitor.enter("validating")
    let values: [(name: String, value: Double)]
    do {
      values = try weights.withAverage { try task.validate() }
    } catch is Interrupted {
      return  // The signal is still pending: the checkpoint at the end of this step comes first.
    }
    guard let log = environment.log, !values.isEmpty else { return }
    try log.append(
      MetricsRecord(step: completedSteps, kind: .validation, values: Dictionary(values.map { ($0, $1) }) { $1 }))
    let text = values.map { "\($0.name) \(String(format: "%.4g", $0.value))" }.joined(separator: ", ")
    environment.reporter.message("validation after step \(completedSteps): \(text)")
  }
}

extension FaultConfig.NonFinitePolicy {
  /// What follows from it, for messages.
  fileprivate var consequence: String {
    switch self {
    case .skip: "the step is skipped"
    case .rollback: "going back to the newest checkpoint"
    case .stop: "stopping"
    }
  }
}

/// What fits into one line; the log has everything.
private let shownTerms: Set = ["loss", "l1", "sampleEntropy", "batchEntropy", "commitment", "pre", "post"]
