import Checkpointing
import Foundation
import Synchronization

/// Keeps a training running: starts it under `mpirun`, and after a fault starts it again on the hosts that are left,
/// with the same global batch. The training itself resumes from its newest checkpoint.
public final class Supervisor {
  /// What is started, and how patiently.
  public struct Settings: Sendable {
    /// The program and arguments of a rank, for example `mergevq tokenizer train RECIPE`.
    public var command: [String]
    /// Further arguments of `mpirun`.
    public var launcherArguments: [String] = []
    /// The host list, read anew at every start; nil runs `localRanks` ranks on this host.
    public var hostFile: String?
    /// Ranks where there is no host list.
    public var localRanks = 1
    /// What starts a command on another host.
    public var remoteShell = ["ssh", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
    /// The batch of the recipe; its accumulation is meant for all hosts of the list.
    public var batch: BatchConfig
    /// The most samples of a rank in one round; nil means as many as with all hosts.
    public var samplesPerRank: Int?
    /// The run directory, where checkpoints tell of progress.
    public var runDirectory: String
    /// So many failures in a row, without a new checkpoint between, end the supervision.
    public var restartLimit = 10
    /// The pause after the first failure in a row; it doubles up to 5 minutes.
    public var backOff = Duration.seconds(5)
    /// How often hosts are checked while the training runs.
    public var checkInterval = Duration.seconds(30)
    /// How long a host may take to answer.
    public var checkPatience = Duration.seconds(10)
    /// How long the ranks may take for their last checkpoint when they are asked to stop.
    public var grace = Duration.seconds(600)

    /// Supervises `command`, which trains with `batch` in `runDirectory`.
    public init(command: [String], batch: BatchConfig, runDirectory: String) {
      self.command = command
      self.batch = batch
      self.runDirectory = runDirectory
    }
  }

  /// Exit statuses after which a new start cannot help.
  static let finalStatuses: Set<Int32> = [0, 64, 65, 70, 74]

  private static let pendingSignal = Atomic<Int32>(0)

  private let settings: Settings
  private let say: (String) -> Void
  private let check: HostCheck
  private let jobName = "supervised-\(UUID().uuidString)"

  /// A supervisor that tells what it does through `say`.
  public init(_ settings: Settings, say: @escaping (String) -> Void) {
    self.settings = settings
    self.say = say
    check = HostCheck(remoteShell: settings.remoteShell, patience: settings.checkPatience)
  }

  /// Supervises until the training is finished, cannot go on, or a signal asks for the end.
  /// - Returns: The exit status: that of the training, or 75 after a signal or too many failures.
  /// - Throws: `ConfigError` if the host list cannot be used at the first start.
  public func run() throws -> Int32 {
    let stopSignals = [SIGTERM, SIGINT, SIGUSR1]
    for number in stopSignals { signal(number) { Supervisor.pendingSignal.store($0, ordering: .relaxed) } }
    unblock(stopSignals)
    var failures = 0
    var lastStep = newestStep
    var isFirstStart = true
    while true {
      let all: HostList?
      do throws(ConfigError) {
        all = try settings.hostFile.map { path throws(ConfigError) in try HostList(path: path) }
      } catch {
        // Someone may just be editing it; a list that never was good is the user's mistake.
        if isFirstStart { throw error }
        say("\(error); trying again")
        if pause(settings.checkInterval) { return 75 }
        continue
      }
      let present = all.map { $0.keeping(check.reachable($0.hosts)) }
      if let all, let present, present.hosts.isEmpty {
        say("none of \(all.hosts.count) hosts answers; waiting for one")
        if pause(settings.checkInterval) { return 75 }
        continue
      }
      isFirstStart = false
      let outcome = try start(on: present, of: all)
      switch outcome {
      case .ended(let status) where Self.finalStatuses.contains(status): return status
      case .ended(let status), .lostHost(let status):
        if newestStep > lastStep { failures = 0 }
        lastStep = newestStep
        failures += 1
        guard failures <= settings.restartLimit else {
          say("the training failed \(failures) times without a new checkpoint; giving up (last exit status \(status))")
          return 75
        }
        let delay = min(settings.backOff * Double(1 << min(failures - 1, 20)), .seconds(300))
        say("the training ended with status \(status); starting again in \(seconds(delay))")
        if pause(delay) { return 75 }
      case .regrouped: lastStep = newestStep
      case .stopped(let status): return Self.finalStatuses.contains(status) ? status : 75
      }
    }
  }

  private enum Outcome {
    /// By itself, or with what is called a status of a process that a signal ended: 128 + its number.
    case ended(Int32)
    /// A host in use did not answer any more.
    case lostHost(Int32)
    /// It was stopped because hosts have come back or the list has changed.
    case regrouped
    /// A signal to the supervisor ended it.
    case stopped(Int32)
  }

  /// Runs the training once.
  private func start(on present: HostList?, of all: HostList?) throws -> Outcome {
    let slots = present?.slots ?? settings.localRanks
    let fullSlots = all?.slots ?? settings.localRanks
    let limit =
      settings.samplesPerRank ?? max(1, settings.batch.global / max(1, fullSlots * settings.batch.accumulation))
    let shape = LaunchShape(slots: slots, globalBatch: settings.batch.global, samplesPerRank: limit)
    var command = ["mpirun", "-n", "\(shape.rankCount)", "-x", "MERGEVQ_JOB"]
    let hostFile = FileManager.default.temporaryDirectory.appending(component: "\(jobName).hosts").path
    if let present {
      try present.text.write(toFile: hostFile, atomically: true, encoding: .utf8)
      command += ["--hostfile", hostFile, "--mca", "plm_rsh_agent", settings.remoteShell.joined(separator: " ")]
    }
    defer { if present != nil { unlink(hostFile) } }
    command += settings.launcherArguments + settings.command + ["--set", "batch.accumulation=\(shape.accumulation)"]
    describe(shape, present, all)
    return watch(try ChildProcess(command, environment: ["MERGEVQ_JOB": jobName]), present, all)
  }

  private func describe(_ shape: LaunchShape, _ present: HostList?, _ all: HostList?) {
    let places = present.map { present in
      " on \(present.hosts.count) of \(all?.hosts.count ?? 0) hosts (\(present.hosts.map(\.name).joined(separator: ", ")))"
    }
    let idle = (present?.slots ?? settings.localRanks) - shape.rankCount
    say(
      "starting \(shape.rankCount) ranks\(places ?? ""): \(settings.batch.global) samples a step in "
        + "\(shape.accumulation) \(shape.accumulation == 1 ? "round" : "rounds")"
        + (idle > 0 ? "; \(idle) slots stay idle because their number must divide the batch" : ""))
  }

  /// Waits for the end of a start, for signals, for hosts that go and for hosts that come back.
  private func watch(_ process: ChildProcess, _ present: HostList?, _ all: HostList?) -> Outcome {
    var nextCheck = ContinuousClock.now + settings.checkInterval
    var silentChecks: [String: Int] = [:]
    while process.isRunning {
      usleep(50_000)
      if Self.pendingSignal.load(ordering: .relaxed) != 0 {
        say("stopping: asking the ranks for a checkpoint")
        // mpirun passes SIGUSR1 on to every rank; SIGTERM would make it end them at once.
        process.send(SIGUSR1)
        end(process, after: settings.grace)
        return .stopped(process.exitStatus)
      }
      guard let present, let path = settings.hostFile, ContinuousClock.now >= nextCheck else { continue }
      defer { nextCheck = .now + settings.checkInterval }
      let listed: HostList
      do throws(ConfigError) { listed = try HostList(path: path) } catch { continue }
      let answering = check.reachable(listed.hosts + present.hosts.filter { !listed.hosts.contains($0) })
      let silent = present.hosts.map(\.name).filter { !answering.contains($0) }
      for host in present.hosts {
        silentChecks[host.name] = silent.contains(host.name) ? (silentChecks[host.name] ?? 0) + 1 : 0
      }
      if let lost = silent.first(where: { silentChecks[$0] ?? 0 >= 2 }) {
        say("host \(lost) does not answer any more; ending the training to go on without it")
        process.send(SIGTERM)
        end(process, after: .seconds(10))
        return .lostHost(process.exitStatus)
      }
      let wanted = listed.keeping(answering)
      if silent.isEmpty && wanted != present {
        let joining = wanted.hosts.map(\.name).filter { name in !present.hosts.contains { $0.name == name } }
        say(
          joining.isEmpty
            ? "the host list has changed; stopping with a checkpoint to follow it"
            : "taking in \(joining.joined(separator: ", ")): stopping with a checkpoint to start on all hosts")
        process.send(SIGUSR1)
        end(process, after: settings.grace)
        let status = process.exitStatus
        // It may have finished, or failed, just then.
        return status == 75 ? .regrouped : .ended(status)
      }
    }
    return .ended(process.exitStatus)
  }

  /// Waits for the end, then asks harder, then ends it.
  private func end(_ process: ChildProcess, after grace: Duration) {
    if process.wait(atMost: grace) { return }
    process.send(SIGTERM)
    if !process.wait(atMost: .seconds(10)) { process.end() }
  }

  /// Sleeps; true if a signal asked for the end meanwhile.
  private func pause(_ duration: Duration) -> Bool {
    let deadline = ContinuousClock.now + duration
    while ContinuousClock.now < deadline {
      if Self.pendingSignal.load(ordering: .relaxed) != 0 { return true }
      usleep(20_000)
    }
    return Self.pendingSignal.load(ordering: .relaxed) != 0
  }

  /// The step of the newest checkpoint, good or not; −1 if there is none.
  private var newestStep: Int {
    do {
      return try CheckpointFolder(runDirectory: settings.runDirectory).candidates().first?.step ?? -1
    } catch {
      return -1
    }
  }

  private func seconds(_ duration: Duration) -> String { "\(Int((duration / .seconds(1)).rounded())) s" }
}
