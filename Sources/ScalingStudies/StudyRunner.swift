import Collectives
import Foundation
public import Scaling
public import Training

/// Measures a training on several numbers of ranks: starts it under `mpirun`, again and again.
///
/// The settings take turns, forwards and backwards, so that whatever else changes on the machines meanwhile meets them
/// alike. A start writes no checkpoints and no pictures; its first steps do not count.
public struct StudyRunner {
  /// What is started, and how.
  public struct Settings: Sendable {
    /// `tokenizer` or `generator`: what `mergevq … train` trains.
    public var model = "tokenizer"
    /// The recipe's path.
    public var recipe: String
    /// Overrides of the recipe.
    public var overrides: [String] = []
    /// Numbers of ranks.
    public var ranks: [Int]
    /// Whether the batch grows with them.
    public var mode = ScalingMode.weak
    /// Samples of a step: of one rank in weak, of all in strong scaling.
    public var batch: Int
    /// Measured steps of a start.
    public var steps = 10
    /// Steps before them.
    public var warmupSteps = 3
    /// Starts of every setting.
    public var repeats = 3
    /// Threads of a rank.
    public var threads = 1
    /// The host list; nil starts all ranks where the launcher does by itself.
    public var hostFile: String?
    /// Ranks of a node, where there is no host list; nil means all.
    public var ranksPerNode: Int?
    /// What starts a command on another host.
    public var remoteShell = "ssh -x -o BatchMode=yes"
    /// Further arguments of `mpirun`.
    public var launcherArguments: [String] = []
    /// Cores of a machine.
    public var coresPerMachine: Int
    /// Whether all hosts are one machine: a virtual cluster.
    public var sharesMachine = false
    /// Between the nodes, where it is known.
    public var network: Network?
    /// The program that trains.
    public var program: String
    /// Where run directories are made, and removed; all ranks must see it.
    public var folder: String

    /// A study by that recipe.
    public init(
      recipe: String, ranks: [Int], batch: Int, coresPerMachine: Int, program: String, folder: String
    ) {
      self.recipe = recipe
      self.ranks = ranks
      self.batch = batch
      self.coresPerMachine = coresPerMachine
      self.program = program
      self.folder = folder
    }
  }

  private let settings: Settings
  private let hosts: HostList?

  /// A runner of a study.
  /// - Throws: `ConfigError` if the host list cannot be used or has too few slots.
  public init(_ settings: Settings) throws(ConfigError) {
    self.settings = settings
    hosts = try settings.hostFile.map { path throws(ConfigError) in try HostList(path: path) }
    guard let hosts, let most = settings.ranks.max(), most > hosts.slots else { return }
    throw ConfigError(
      origin: settings.hostFile, problem: "has slots for \(hosts.slots) ranks, but \(most) are to be started")
  }

  /// How that many ranks lie.
  public func shape(worldSize: Int) -> JobShape {
    let ranksPerNode = hosts.map { $0.hosts.map(\.slots).max() ?? 1 } ?? settings.ranksPerNode ?? worldSize
    var shape = JobShape(
      worldSize: worldSize, ranksPerNode: ranksPerNode, threadsPerRank: settings.threads,
      coresPerMachine: settings.coresPerMachine)
    if settings.sharesMachine { shape.nodesPerMachine = shape.nodeCount }
    return shape
  }

  /// Samples of a step of that many ranks.
  public func globalBatch(worldSize: Int) -> Int {
    settings.mode == .weak ? settings.batch * worldSize : settings.batch
  }

  /// Measures everything.
  /// - Parameter say: Told what is started, and what came of it.
  /// - Throws: `StudyError` if a start fails; `RunDirectoryError` if its metrics cannot be read.
  public func run(say: (String) -> Void) throws -> [Study.Setting] {
    var results = settings.ranks.map {
      Study.Setting(
        shape: shape(worldSize: $0), globalBatch: globalBatch(worldSize: $0),
        network: shape(worldSize: $0).nodeCount > 1 ? settings.network : nil)
    }
    for repetition in 0..<settings.repeats {
      let order = repetition.isMultiple(of: 2) ? Array(results.indices) : results.indices.reversed()
      for index in order {
        let steps = try measure(results[index], named: "run-\(settings.ranks[index])-\(repetition)")
        results[index].runs.append(steps)
        let seconds = Study.Setting(
          shape: results[index].shape, globalBatch: results[index].globalBatch, network: nil, runs: [steps]
        ).stepSeconds.mean
        say("\(settings.ranks[index]) ranks, \(repetition + 1) of \(settings.repeats): \(number(seconds)) s a step")
      }
    }
    return results
  }

  /// Starts a setting once and returns the times of its measured steps.
  private func measure(_ setting: Study.Setting, named name: String) throws -> [[StepTimes]] {
    let directory = "\(settings.folder)/\(name)"
    let log = "\(settings.folder)/\(name).log"
    let command = command(of: setting, directory: directory)
    try remove([directory, log])
    let process = try ChildProcess(command, log: log)
    let status = process.exitStatus
    guard status == 0 else { throw StudyError(command: command, status: status, log: log) }
    let records = try MetricsLog.records(of: RunDirectory(path: directory)).filter { $0.kind == .train }
    let steps = records.compactMap(StepTimes.ofRanks(in:)).dropFirst(settings.warmupSteps)
    guard steps.count == settings.steps, steps.allSatisfy({ $0.count == setting.shape.worldSize }) else {
      throw StudyError(command: command, status: 70, log: log)
    }
    try remove([directory, log])
    return Array(steps)
  }

  private func remove(_ paths: [String]) throws {
    for path in paths where access(path, F_OK) == 0 { try FileManager.default.removeItem(atPath: path) }
  }

  /// Where ranks go, and which cores are theirs: left to itself, mpirun gives each of few ranks one core, however many
  /// threads it has.
  private func mapping(of shape: JobShape) -> [String] {
    let cores = shape.threadsPerRank > 1 ? ":PE=\(shape.threadsPerRank)" : ""
    if let ranksPerNode = settings.ranksPerNode, settings.hostFile == nil {
      return ["--map-by", "ppr:\(ranksPerNode):node\(cores)"]
    }
    guard !cores.isEmpty else { return [] }
    let mustShare = settings.sharesMachine || shape.ranksPerNode * shape.threadsPerRank > settings.coresPerMachine
    return mustShare ? ["--bind-to", "none"] : ["--map-by", "slot\(cores)"]
  }

  /// The whole command of a start.
  func command(of setting: Study.Setting, directory: String) -> [String] {
    var command = ["mpirun", "-n", "\(setting.shape.worldSize)"]
    if let hostFile = settings.hostFile {
      command += ["--hostfile", hostFile, "--mca", "plm_rsh_agent", settings.remoteShell]
    } else if settings.ranksPerNode == nil && setting.shape.worldSize > settings.coresPerMachine {
      command.append("--oversubscribe")
    }
    if !settings.launcherArguments.contains("--map-by") { command += mapping(of: setting.shape) }
    command += settings.launcherArguments
    command += [settings.program, settings.model, "train", settings.recipe, "--resume", "never"]
    command += ["--stop-after", "\(settings.warmupSteps + settings.steps)"]
    let overrides =
      settings.overrides + [
        "batch.global=\(setting.globalBatch)", "run.threads=\(settings.threads)", "run.directory=\(directory)",
        "run.logEvery=1", "run.logRanks=true", "run.checkpointEvery=0", "run.validateEvery=0", "run.pictures=false",
      ]
    return command + overrides.flatMap { ["--set", $0] }
  }
}

/// A start of a study that did not end well.
public struct StudyError: AgreedError, CustomStringConvertible {
  /// What was started.
  public let command: [String]
  /// How it ended.
  public let status: Int32
  /// What it said.
  public let log: String

  /// That of the training.
  public var exitStatus: Int32 { status }
  /// Names the command and quotes what the ranks said of it, or the last words of `mpirun`.
  public var description: String {
    let text = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let lines = text.split(separator: "\n")
    let own = lines.filter { $0.hasPrefix("mergevq: ") }
    let quoted = (own.isEmpty ? lines : own).suffix(6).map { "\n  \($0)" }.joined()
    return "'\(command.joined(separator: " "))' ended with status \(status) without the steps that were to be "
      + "measured; in \(log):\(quoted)"
  }
}
