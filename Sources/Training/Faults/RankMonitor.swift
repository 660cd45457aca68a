import Collectives
import Foundation
import Synchronization

/// Watches over one rank from a thread of its own: writes its heartbeat, and ends the job when a collective operation
/// of this rank waits longer than the limit.
///
/// It needs nothing of the other ranks but their heartbeat files, so it works while they hang, are stopped, or are gone.
final class RankMonitor: Sendable {
  private struct State {
    var heartbeat: Heartbeat
    var isStopped = false
    var watching: BackgroundWork<Void>?
  }

  /// What the communicator of the rank is doing.
  let trace: CommunicationTrace

  private let directory: RunDirectory
  private let interval: Duration
  private let limit: Duration
  private let endJob: @Sendable (Int32) -> Never
  private let alarm: @Sendable (String) -> Void
  private let state: Mutex<State>

  /// Clears away old heartbeats, writes the first, and starts watching. Collective.
  /// - Parameters:
  ///   - communicator: Whose operations `trace` notes.
  ///   - directory: The run directory, which must exist.
  ///   - alarm: Told why the job ends, on one rank, on the monitor's thread.
  /// - Throws: `PeerFailure` if a heartbeat cannot be written.
  init(
    _ communicator: any Communicator, trace: CommunicationTrace, directory: RunDirectory, config: FaultConfig,
    alarm: @escaping @Sendable (String) -> Void
  ) throws {
    self.trace = trace
    self.directory = directory
    self.alarm = alarm
    interval = .seconds(config.heartbeatSeconds)
    limit = .seconds(config.stallSeconds)
    endJob = communicator.ending
    state = Mutex(
      State(
        heartbeat: Heartbeat(
          rank: communicator.rank, worldSize: communicator.worldSize, host: communicator.hostName,
          processIdentifier: ProcessInfo.processInfo.processIdentifier)))
    try communicator.collectively("clearing away old heartbeats") {
      if communicator.isFirst { try directory.clearHeartbeats() }
    }
    try communicator.collectively("writing heartbeats") { try beat() }
    let watching = BackgroundWork(named: "monitor") { [self] in watch() }
    state.withLock { $0.watching = watching }
  }

  /// Ends the watch and waits until it has ended; the last heartbeat stays.
  func stop() {
    let watching = state.withLock {
      $0.isStopped = true
      $0.heartbeat.activity = "ended"
      return $0.watching
    }
    _ = watching?.wait()
  }

  /// Says what the rank does from now on, for messages: `forward and backward`.
  func enter(_ activity: String) { state.withLock { $0.heartbeat.activity = activity } }

  /// Says how many steps are done.
  func completed(step: Int) { state.withLock { $0.heartbeat.step = step } }

  /// Says how many steps the whole run has.
  func begins(totalSteps: Int) { state.withLock { $0.heartbeat.totalSteps = totalSteps } }

  /// Says what a step takes, and how fast the rank computes.
  func measured(_ times: StepTimes, _ rate: ComputeRate) {
    state.withLock {
      $0.heartbeat.times = times
      $0.heartbeat.rate = rate
    }
  }

  /// Writes the heartbeat as it is now.
  private func beat() throws(RunDirectoryError) { try directory.write(current(counting: true)) }

  private func current(counting: Bool = false) -> Heartbeat {
    let position = trace.position
    return state.withLock {
      if counting { $0.heartbeat.beat += 1 }
      $0.heartbeat.time = Date().formatted(.iso8601)
      $0.heartbeat.callCount = position.callCount
      $0.heartbeat.operation = position.operation
      $0.heartbeat.seconds = (ContinuousClock.now - position.since) / .seconds(1)
      return $0.heartbeat
    }
  }

  private func watch() {
    var awakeSince = ContinuousClock.now
    while !state.withLock({ $0.isStopped }) {
      let start = ContinuousClock.now
      beatIfPossible()
      let written = ContinuousClock.now
      while ContinuousClock.now - start < interval && !state.withLock({ $0.isStopped }) { usleep(20_000) }
      // Who was stopped has waited for nobody meanwhile, and must not call others missing when the job is taken down.
      if ContinuousClock.now - written > interval + limit / 2 { awakeSince = .now }
      let position = trace.position
      guard position.operation != nil else { continue }
      if ContinuousClock.now - max(position.since, awakeSince) > limit { examine(position) }
    }
    beatIfPossible()
  }

  /// A heartbeat that cannot be written (a full disk, a file system that hangs) must not end a run that can go on; the
  /// other ranks see a silent one if it comes to that.
  private func beatIfPossible() {
    do throws(RunDirectoryError) { try beat() } catch { _ = error }
  }

  /// Looks twice at every rank's heartbeat and ends the job, unless the operation has ended meanwhile.
  private func examine(_ position: CommunicationTrace.Position) {
    let own = current()
    let first = (0..<own.worldSize).map { directory.heartbeat(rank: $0) }
    // Every rank that still lives writes at least twice meanwhile, however the looks fall; so does this one.
    for _ in 0..<5 {
      let start = ContinuousClock.now
      while ContinuousClock.now - start < interval / 2 {
        usleep(20_000)
        if trace.position != position || state.withLock({ $0.isStopped }) { return }
      }
      beatIfPossible()
    }
    let report = StallReport(
      first.enumerated().map { rank, before in
        let now = directory.heartbeat(rank: rank)
        return StallReport.Observation(
          rank: rank, heartbeat: now,
          isBeating: now != nil && (now?.beat != before?.beat || now?.processIdentifier != before?.processIdentifier))
      }, own: own, limit: limit / .seconds(1))
    // The others give the reporter time to speak and to end the job, and do it themselves should it fail.
    if report.reporter != own.rank { Thread.sleep(forTimeInterval: 5) }
    alarm(report.text)
    let endJob = endJob
    Thread { endJob(75) }.start()
    // Ending the job through MPI needs its daemons; they may be gone too.
    Thread.sleep(forTimeInterval: 10)
    _exit(75)
  }
}
