import Collectives
import DataLoading
import Foundation
import Kernels

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
    /// Event files for TensorBoard, on rank 0 at most.
    let tensorBoard: TensorBoardLog?
    /// What this rank's processor can do, see `ComputeRate`.
    let peakGFLOPS: Double
    /// Notes what happens in the steps to trace.
    let timeline: StepTimeline?
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
  /// What the layers compute, and how much of it had been reported after which step.
  private let operations = OperationCount()
  private var reported: (operations: Int, step: Int)
  private var hiddenBefore = Duration.zero
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
    reported = (0, completedSteps)
    hosts = try environment.communicator.allGather(environment.communicator.hostName)
    environment.monitor.completed(step: completedSteps)
    environment.monitor.begins(totalSteps: environment.totalSteps)
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
        environment.timeline?.begin(step: completedSteps + 1)
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
        try endTracedStep()
        if let signal { return .ended(.interrupted(signal: signal, step: completedSteps)) }
      }
    } catch let error as any AgreedError {
      // All ranks are in step and will end; what they have saved should count.
      try finishCheckpoint()
      throw error
    }
    return .ended(completedSteps < environment.totalSteps ? .stopped(step: completedSteps) : .finished)
  }

  /// Says what this rank does from now on, to the monitor and to the timeline.
  private func enter(_ activity: String, phase: String? = nil) {
    environment.monitor.enter(activity)
    environment.timeline?.enter(phase ?? activity)
  }

  /// After the last of the steps to trace, the ranks put their timelines together.
  private func endTracedStep() throws {
    guard let timeline = environment.timeline else { return }
    timeline.endStep()
    guard completedSteps == timeline.steps.max() else { return }
    enter("writing the trace")
    try ChromeTrace.write(timeline, to: environment.directory.tracePath, communicator)
    if communicator.isFirst {
      environment.reporter.message("\(environment.directory.tracePath): open it in ui.perfetto.dev")
    }
  }

  /// Starts a checkpoint if one is due, or takes the one that is being written further; returns the signal on which
  /// the run must end. The ranks agree on signals and on the writers' progress in one exchange.
  private func keepCheckpoints(isLast: Bool) throws -> Int32? {
    var state = [Int64(environment.interruption.own), checkpoints.isBusy ? 1 : 0]
    try communicator.allReduce(&state, .max)
    let signal = state[0] == 0 ? nil : Int32(state[0])
    let isDue = run.checkpointEvery > 0 && (completedSteps % run.checkpointEvery == 0 || isLast)
    if isDue || signal != nil {
      enter("copying the checkpoint of step \(completedSteps)")
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
    enter("writing a checkpoint")
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
      enter("reading data")
      let share = try communicator.collectively("reading data for step \(completedSteps + 1)") {
        let start = ContinuousClock.now
        defer { data += ContinuousClock.now - start }
        return try source.next()
      }
      samples += share.sampleIndices
      guard !isExcluded else { continue }
      enter("forward and backward", phase: "forward")
      let values = try OperationCount.$current.withValue(operations) {
        try task.accumulateGradients(share, step: completedSteps, round: round, of: batch.accumulation)
      }
      terms.add(values.map { ($0.name, $0.value / Double(batch.accumulation)) })
    }
    if isExcluded {
      skip()
    } else if let sums = try agreedSums(terms, samples: samples) {
      enter("updating the weights")
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
    if let hidden = task.weights.first?.overlap?.hiddenDuration {
      interval.add([("communicationHiddenSeconds", (hidden - hiddenBefore) / .seconds(1))])
      hiddenBefore = hidden
    }
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
    enter("reducing gradients")
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
    enter("reporting")
    let means = try interval.means(communicator)
    let times = try interval.times(of: communicator)
    let rate = computeRate(times[communicator.rank])
    environment.monitor.measured(times[communicator.rank], rate)
    let stragglers = StragglerReport(times: times, hosts: hosts)
    var values = means + (try task.intervalMetrics())
    values.append(("badImages", Double(try communicator.allReduce(Int64(source.badImageCount), .sum))))
    values.append(("dataBytes", Double(try communicator.allReduce(Int64(source.byteCount), .sum))))
    values.append(("dataBytesOfBusiestRank", Double(try communicator.allReduce(Int64(source.byteCount), .max))))
    values.append(("skippedSteps", Double(skippedSteps)))
    values += stragglers.values
    if run.logRanks { values += times.enumerated().flatMap { $1.values(ofRank: $0) } }
    values += try rate.values(communicator)
    interval = IntervalSums()
    guard let log = environment.log else { return }
    var record = MetricsRecord(step: completedSteps, kind: .train, values: [:])
    for (name, value) in values { record.values[name] = value }
    record.values["imagesPerSecond"] = pace.imagesPerSecond
    try append(record, to: log)
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
    try append(record, to: log)
  }

  private func append(_ record: MetricsRecord, to log: MetricsLog) throws {
    try log.append(record)
    try environment.tensorBoard?.append(record)
  }

  /// What this rank computed in the interval that ends now, given what its steps took.
  private func computeRate(_ times: StepTimes) -> ComputeRate {
    let steps = Double(max(1, completedSteps - reported.step))
    let perStep = Double(operations.total - reported.operations) / steps
    reported = (operations.total, completedSteps)
    let seconds = times.work + times.data + times.communication
    return ComputeRate(
      gflops: seconds > 0 ? perStep / seconds / 1e9 : 0, peakGFLOPS: environment.peakGFLOPS,
      peakMemory: ComputeRate.peakMemoryOfProcess)
  }

  private func validate() throws {
    guard let weights = task.weights.first else { return }
    enter("validating")
    let values: [(name: String, value: Double)]
    do {
      values = try weights.withAverage {
        let values = try task.validate()
        try communicator.collectively("showing the model") {
          if communicator.isFirst { try showModel(weights) }
        }
        return values
      }
    } catch is Interrupted {
      return  // The signal is still pending: the checkpoint at the end of this step comes first.
    }
    guard let log = environment.log, !values.isEmpty else { return }
    try append(
      MetricsRecord(step: completedSteps, kind: .validation, values: Dictionary(values.map { ($0, $1) }) { $1 }),
      to: log)
    let text = values.map { "\($0.name) \(String(format: "%.4g", $0.value))" }.joined(separator: ", ")
    environment.reporter.message("validation after step \(completedSteps): \(text)")
  }
}

extension TrainingLoop {
  /// Keeps a picture of what the model, as it is, makes of a few samples, and tells TensorBoard how its weights, and
  /// what else the task knows of, are distributed.
  private func showModel(_ weights: ShardedWeights) throws {
    if run.pictures, let picture = try task.validationPicture() {
      let jpeg = try picture.image.encodedAsJPEG(quality: 90)
      try PictureHistory(environment.directory, picture.kind).keep(jpeg, step: completedSteps)
      try environment.tensorBoard?.append(step: completedSteps, picture, jpeg: jpeg)
    }
    try environment.tensorBoard?.append(step: completedSteps, weights, task.distributions())
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
